// Command vary makes another day out of a scenario file: other device names,
// one record less, one copy less, one stranger more, and nothing said about
// what should come out. The demo must then report the new file's truth.
//
//	vary IN.json OUT.json
//
// On standard output it says what the demo must count, one NAME=VALUE a line.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
)

// The changes. A renamed device keeps its place among the names, so that
// whoever carries for others stays the same.
var renamed = map[string]string{"D-101": "D-107", "D-402": "D-499"}

const (
	droppedRecord = "D-102-0008"
	newStranger   = "D-998"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: vary IN.json OUT.json")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "vary:", err)
		os.Exit(1)
	}
}

// list is a member of the file whose elements are passed on as they are.
type list []map[string]json.RawMessage

func run(in, out string) error {
	b, err := os.ReadFile(in)
	if err != nil {
		return err
	}
	for _, old := range slices.Sorted(maps.Keys(renamed)) {
		if !bytes.Contains(b, []byte(old)) {
			return fmt.Errorf("%s: no device %s in it", in, old)
		}
		b = bytes.ReplaceAll(b, []byte(old), []byte(renamed[old]))
	}
	var day map[string]json.RawMessage
	if err := json.Unmarshal(b, &day); err != nil {
		return fmt.Errorf("%s: %w", in, err)
	}
	delete(day, "expected")
	var records, copies, foreign list
	err = errors.Join(
		json.Unmarshal(day["records"], &records),
		json.Unmarshal(day["transport_duplicates"], &copies),
		json.Unmarshal(day["foreign_records"], &foreign),
	)
	if err != nil {
		return fmt.Errorf("%s: %w", in, err)
	}
	kept := slices.DeleteFunc(slices.Clone(records), func(r map[string]json.RawMessage) bool {
		return string(r["id"]) == `"`+droppedRecord+`"`
	})
	if len(kept) != len(records)-1 || len(copies) < 2 || len(foreign) == 0 {
		return fmt.Errorf("%s: not the day that this program knows how to change", in)
	}
	copies = copies[1:]
	stranger := maps.Clone(foreign[0])
	stranger["id"], stranger["claims_device"] = json.RawMessage(`"X-3"`), json.RawMessage(`"`+newStranger+`"`)
	foreign = append(foreign, stranger)
	for name, l := range map[string]list{"records": kept, "transport_duplicates": copies, "foreign_records": foreign} {
		if day[name], err = json.Marshal(l); err != nil {
			return err
		}
	}
	if b, err = json.MarshalIndent(day, "", " "); err != nil {
		return err
	}
	if err := os.WriteFile(out, b, 0o644); err != nil {
		return err
	}
	unknown := strangers(foreign)
	// Genuine records of the devices that are not among the records are foreign ones too.
	captured := fromDevices(kept) + len(foreign) - unknown
	_, err = fmt.Printf("records=%d\ncaptured=%d\ntransport_duplicates=%d\nunattributed=%d\n", len(kept), captured, len(copies), unknown)
	return err
}

// fromDevices counts the records that no operator made.
func fromDevices(records list) int {
	n := 0
	for _, r := range records {
		if string(r["device"]) != `"HUB"` {
			n++
		}
	}
	return n
}

// strangers counts what comes from devices that nobody enrolled: it has a
// reason of its own in the file, the others have a form version.
func strangers(foreign list) int {
	n := 0
	for _, f := range foreign {
		if _, genuine := f["schema"]; !genuine {
			n++
		}
	}
	return n
}
