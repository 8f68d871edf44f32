package cli

import (
	"io"
	"os"
	"path/filepath"

	"gopkg.in/natefinch/lumberjack.v2"
)

// A log file is turned over at that many megabytes, and so many older ones are
// kept: where no system looks after logs (Windows, Termux) they must not fill the disk.
const (
	logFileSize = 5
	logFilesOld = 3
)

// newLogFile opens the file once: what writes to it later drops a log that cannot
// be written, without a word.
func newLogFile(name string) (io.Writer, error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	return &lumberjack.Logger{Filename: name, MaxSize: logFileSize, MaxBackups: logFilesOld}, nil
}
