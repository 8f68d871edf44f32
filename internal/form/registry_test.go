package form_test

import (
	"errors"
	"testing"

	"otor/internal/form"
)

func TestRegistryVersions(t *testing.T) {
	f := sample(t)
	reg, err := form.NewRegistry(f, f.At(4))
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		id      string
		version uint32
		code    form.Code
	}{
		{"sample", 2, ""},
		{"sample", 4, ""},
		{"sample", 5, form.FormNewer},
		{"sample", 99, form.FormNewer},
		{"sample", 3, form.FormOld},
		{"sample", 1, form.FormOld},
		{"sample", 0, form.FormOld},
		{"other", 1, form.FormUnknown},
	} {
		got, err := reg.Form(tc.id, tc.version)
		if tc.code == "" {
			if err != nil || got.Version != tc.version {
				t.Errorf("Form(%s, %d) = %v, %v", tc.id, tc.version, got, err)
			}
			continue
		}
		le, ok := errors.AsType[*form.LookupError](err)
		if !ok || le.Code != tc.code || le.Version != tc.version {
			t.Errorf("Form(%s, %d) = %v, want code %s", tc.id, tc.version, err, tc.code)
		}
	}
}

func TestRegistryWithLeavesTheFirstAlone(t *testing.T) {
	f := sample(t)
	reg, err := form.NewRegistry(f)
	if err != nil {
		t.Fatal(err)
	}
	more := reg.With(f.At(99))
	if got, _ := more.Latest("sample"); got.Version != 99 {
		t.Errorf("latest = %v, want version 99", got)
	}
	if got, _ := reg.Latest("sample"); got.Version != 2 {
		t.Errorf("the first registry changed: %v", got)
	}
	if got := len(more.All()); got != 2 {
		t.Errorf("%d forms, want 2", got)
	}
	if len(more.With(f.At(99)).All()) != 2 {
		t.Error("the same version stands twice")
	}
	// A copy under another version checks as the original does.
	late, _ := more.Form("sample", 99)
	if ps := late.Check(map[string]any{"name": "x", "count": int64(1)}, form.Env{}); ps != nil {
		t.Errorf("copy: %v", ps)
	}
}

func TestRegistryRefusesTwins(t *testing.T) {
	f := sample(t)
	if _, err := form.NewRegistry(f, f); err == nil {
		t.Error("the same form twice was taken")
	}
}

func TestNilRegistryHoldsNone(t *testing.T) {
	var reg *form.Registry
	if _, err := reg.Form("x", 1); err == nil {
		t.Error("a nil registry holds a form")
	}
	if reg.All() != nil || reg.IDs() != nil {
		t.Error("a nil registry lists forms")
	}
	if got := len(reg.With(sample(t)).All()); got != 1 {
		t.Errorf("%d forms, want 1", got)
	}
}
