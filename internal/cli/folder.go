package cli

import (
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
)

// DefaultFolder is where a program keeps its data when nothing else is said:
// the user's data folder (XDG base directories, Known Folders on Windows), then
// otor/PROGRAM. It is "" when there is no home folder.
func DefaultFolder(program string) string {
	base := ""
	switch runtime.GOOS {
	case "windows":
		base = os.Getenv("LocalAppData")
	case "darwin", "ios":
		base = home("Library", "Application Support")
	default:
		if base = os.Getenv("XDG_DATA_HOME"); !filepath.IsAbs(base) {
			base = home(".local", "share")
		}
	}
	if base == "" {
		return ""
	}
	return filepath.Join(base, "otor", program)
}

func home(below ...string) string {
	dir, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(append([]string{dir}, below...)...)
}

func defaultFolderWords(program string) string {
	if dir := DefaultFolder(program); dir != "" {
		return dir
	}
	return "none: there is no home folder"
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
