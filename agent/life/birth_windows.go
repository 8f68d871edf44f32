package life

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/windows/registry"
)

// birthOf says when a file came into being; copying makes a new file.
func birthOf(path string) (string, error) {
	fi, err := os.Lstat(path)
	if err != nil {
		return "", err
	}
	if d, ok := fi.Sys().(*syscall.Win32FileAttributeData); ok {
		return fmt.Sprintf("b%d", d.CreationTime.Nanoseconds()), nil
	}
	return "", nil
}

// machineID is the system's id of the machine, "" when it cannot be read.
func machineID() string {
	k, err := registry.OpenKey(registry.LOCAL_MACHINE, `SOFTWARE\Microsoft\Cryptography`, registry.QUERY_VALUE|registry.WOW64_64KEY)
	if err != nil {
		return ""
	}
	defer k.Close() //nolint:errcheck // only read from
	id, _, err := k.GetStringValue("MachineGuid")
	if err != nil {
		return ""
	}
	return id
}
