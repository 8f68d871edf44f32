package cli

import (
	"io"

	"gopkg.in/natefinch/lumberjack.v2"
)

// A log file is turned over at that many megabytes, and so many older ones are
// kept: where no system looks after logs (Windows, Termux) they must not fill the disk.
const (
	logFileSize = 5
	logFilesOld = 3
)

func newLogFile(name string) io.Writer {
	return &lumberjack.Logger{Filename: name, MaxSize: logFileSize, MaxBackups: logFilesOld}
}
