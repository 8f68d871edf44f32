package server

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"otor/internal/webui"
)

// temporary are the folders in whose place systemd puts a service's own, with
// PrivateTmp (systemd.exec(5)): they go when the service ends.
var temporary = []string{"/tmp", "/var/tmp"}

// OwnTemporary reports whether dir lies where a service of the system has a folder of its own.
func OwnTemporary(dir string) bool { return temporaryOf(dir) != "" }

func temporaryOf(dir string) string {
	dir = filepath.ToSlash(filepath.Clean(dir))
	i := slices.IndexFunc(temporary, func(t string) bool { return dir == t || strings.HasPrefix(dir, t+"/") })
	if i < 0 {
		return ""
	}
	return temporary[i]
}

// passing reports whether dir lies in a folder that goes with this process and that
// nobody else sees.
func passing(dir string) bool {
	if !OwnTemporary(dir) {
		return false
	}
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return false // no Linux
	}
	defer f.Close() //nolint:errcheck // only read
	return privateMount(f, temporaryOf(dir))
}

// privateMount reports whether systemd has put a service's own folder at point. mounts
// is as proc_pid_mountinfo(5) says: the fourth word is the root of the mount in its
// file system, the fifth where it is mounted.
func privateMount(mounts io.Reader, point string) bool {
	private := false
	for lines := bufio.NewScanner(mounts); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) > 4 && words[4] == point {
			private = strings.Contains(words[3], "/systemd-private-") // the last one counts
		}
	}
	return private
}

// refusedFolder words that something cannot be written where the hub was told to. The
// unit of a hub that runs as a service keeps it out of all folders but those that
// install-service named.
func refusedFolder(err error) (*webui.Refusal, bool) {
	if no, ok := asRefusal(err); ok {
		return no, true
	}
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return &webui.Refusal{
			Code: "not_writable", What: err.Error(),
			Do: "give the hub's user the right to write there; a hub that the system starts writes backups only where it was told: hub install-service --backups DIR",
		}, true
	}
	return nil, false
}
