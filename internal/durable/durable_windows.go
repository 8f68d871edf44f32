package durable

import "golang.org/x/sys/windows"

// chmodOptional: a mode's read-only bit is all that Windows keeps of it.
const chmodOptional = true

// replace renames over the target and returns once the rename is on the disk.
func replace(from, to string) error {
	f, err := windows.UTF16PtrFromString(from)
	if err != nil {
		return err
	}
	t, err := windows.UTF16PtrFromString(to)
	if err != nil {
		return err
	}
	return windows.MoveFileEx(f, t, windows.MOVEFILE_REPLACE_EXISTING|windows.MOVEFILE_WRITE_THROUGH)
}

// SyncDir does nothing: NTFS journals names, and replace writes through.
func SyncDir(string) error { return nil }
