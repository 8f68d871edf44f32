package xlsform_test

import (
	"os"
	"path/filepath"
	"testing"

	"otor/internal/form/xlsform"
)

// sheetsOf reads a form's folder of CSV sheets.
func sheetsOf(t *testing.T, dir string) *xlsform.Workbook {
	t.Helper()
	b := &xlsform.Workbook{}
	for _, name := range []string{"survey", "choices", "settings", "entities"} {
		src, err := os.ReadFile(filepath.Join(dir, name+".csv"))
		if os.IsNotExist(err) && name != "survey" {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		s, err := xlsform.ReadCSV(name, src)
		if err != nil {
			t.Fatal(err)
		}
		b.Sheets = append(b.Sheets, s)
	}
	return b
}

// Every form of the built-in pack converts, without an error or a warning.
func TestPackConverts(t *testing.T) {
	dirs, err := filepath.Glob("../../pack/transhumance/forms/*")
	if err != nil || len(dirs) < 20 {
		t.Fatalf("%d forms found: %v", len(dirs), err)
	}
	for _, dir := range dirs {
		id := filepath.Base(dir)
		res, err := xlsform.Convert(sheetsOf(t, dir), xlsform.Options{})
		if err != nil {
			t.Errorf("%s: %v", id, err)
			continue
		}
		if res.ID != id || res.Version == "" {
			t.Errorf("%s: id %q version %q", id, res.ID, res.Version)
		}
		for _, w := range res.Warnings {
			t.Errorf("%s: warning: %v", id, w)
		}
	}
}
