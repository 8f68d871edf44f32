package server

import (
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"otor/hub/store"
)

func TestPrivateMount(t *testing.T) {
	const mounts = "27 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n" +
		"40 27 0:30 / /tmp rw,nosuid - tmpfs tmpfs rw\n" +
		"41 40 8:1 /tmp/systemd-private-0a-otor-hub.service-Xy/tmp /tmp rw - ext4 /dev/sda1 rw\n" +
		"42 27 8:1 /var/tmp /var/tmp rw - ext4 /dev/sda1 rw\n"
	for point, want := range map[string]bool{"/tmp": true, "/var/tmp": false, "/": false, "/mnt": false} {
		if got := privateMount(strings.NewReader(mounts), point); got != want {
			t.Errorf("%s: %v", point, got)
		}
	}
	for dir, want := range map[string]bool{"/tmp": true, "/tmp/otor": true, "/var/tmp/x": true, "/tmpfs/otor": false, "/mnt/tmp": false} {
		if got := OwnTemporary(dir); got != want {
			t.Errorf("%s: %v", dir, got)
		}
	}
}

// What a hub may not write is the disk's trouble in words that help, not the hub's own.
func TestFolderIsRefused(t *testing.T) {
	for _, c := range []struct {
		err        error
		code, word string
	}{
		{&fs.PathError{Op: "mkdir", Path: "/mnt/other-disk", Err: syscall.EROFS}, "not_writable", "--backups"},
		{&fs.PathError{Op: "mkdir", Path: "/mnt/other-disk", Err: syscall.EACCES}, "not_writable", "--backups"},
		{store.ErrReadOnly, "read_only", "right"},
	} {
		r, ok := refusedFolder(fmt.Errorf("make a backup: %w", c.err))
		if !ok || r.Code != c.code || !strings.Contains(r.Do, c.word) || !strings.Contains(r.What, c.err.Error()) {
			t.Errorf("%v: %+v", c.err, r)
		}
	}
}
