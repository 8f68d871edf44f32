package xlsform

import (
	"slices"
	"strings"
)

// kind is what a question type becomes in XForms.
type kind struct {
	bind    string // the bind's type; "" for none
	control string // the body's element; "" for none
	media   string // of an upload
	preload string // what a client fills in by itself, and with which parameter
	param   string
	params  []string // the keys that its parameters may have; nil: anything
	selects bool
}

var (
	geoParams    = []string{"allow-mock-accuracy", "incremental", "reference-geometry"}
	selectParams = []string{"randomize", "seed"}
	fileParams   = []string{"randomize", "seed", "value", "label"}
)

// kinds by their XLSForm type.
var kinds = map[string]kind{
	"text":                      {bind: "string", control: "input", params: []string{"rows"}},
	"integer":                   {bind: "int", control: "input"},
	"decimal":                   {bind: "decimal", control: "input"},
	"select_one":                {bind: "string", control: "select1", params: selectParams, selects: true},
	"select_multiple":           {bind: "string", control: "select", params: selectParams, selects: true},
	"rank":                      {bind: "odk:rank", control: "odk:rank", params: selectParams, selects: true},
	"select_one_from_file":      {bind: "string", control: "select1", params: fileParams, selects: true},
	"select_multiple_from_file": {bind: "string", control: "select", params: fileParams, selects: true},
	"select_one_external":       {bind: "string", control: "input", params: selectParams},
	"range":                     {bind: "int", control: "range", params: rangeParams},
	"date":                      {bind: "date", control: "input"},
	"time":                      {bind: "time", control: "input"},
	"dateTime":                  {bind: "dateTime", control: "input"},
	"note":                      {bind: "string", control: "input"},
	"calculate":                 {bind: "string"},
	"hidden":                    {bind: "string"},
	"acknowledge":               {bind: "string", control: "trigger"},
	"geopoint":                  {bind: "geopoint", control: "input", params: []string{"allow-mock-accuracy", "capture-accuracy", "reference-geometry", "warning-accuracy"}},
	"geotrace":                  {bind: "geotrace", control: "input", params: geoParams},
	"geoshape":                  {bind: "geoshape", control: "input", params: geoParams},
	"image":                     {bind: "binary", control: "upload", media: "image/*", params: []string{"app", "max-pixels"}},
	"audio":                     {bind: "binary", control: "upload", media: "audio/*", params: []string{"quality"}},
	"video":                     {bind: "binary", control: "upload", media: "video/*"},
	"file":                      {bind: "binary", control: "upload", media: "application/*"},
	"barcode":                   {bind: "barcode", control: "input"},
	"start":                     {bind: "dateTime", preload: "timestamp", param: "start"},
	"end":                       {bind: "dateTime", preload: "timestamp", param: "end"},
	"today":                     {bind: "date", preload: "date", param: "today"},
	"deviceid":                  {bind: "string", preload: "property", param: "deviceid"},
	"phonenumber":               {bind: "string", preload: "property", param: "phonenumber"},
	"username":                  {bind: "string", preload: "property", param: "username"},
	"email":                     {bind: "string", preload: "property", param: "email"},
	"simserial":                 {bind: "string", preload: "property", param: "simserial"},
	"subscriberid":              {bind: "string", preload: "property", param: "subscriberid"},
	"start-geopoint":            {bind: "geopoint"},
	"background-audio":          {bind: "binary", params: []string{"quality"}},
	"background-geopoint":       {bind: "geopoint"},
	"audit":                     {bind: "binary", params: []string{"location-priority", "location-min-interval", "location-max-age", "track-changes", "identify-user", "track-changes-reasons"}},
	"csv-external":              {},
	"xml-external":              {},
}

// kindAliases are other names of the types.
var kindAliases = map[string]string{
	"string": "text", "int": "integer", "select1": "select_one", "select one": "select_one", "select": "select_multiple",
	"select multiple": "select_multiple", "select_many": "select_multiple", "select many": "select_multiple", "select all that apply": "select_multiple",
	"select_one_external": "select_one_external", "select one external": "select_one_external",
	"select one from file": "select_one_from_file", "select multiple from file": "select_multiple_from_file",
	"select_one from_file": "select_one_from_file", "select one from": "select_one", "add select one prompt using": "select_one", "add select multiple prompt using": "select_multiple",
	"datetime": "dateTime", "date time": "dateTime", "gps": "geopoint", "location": "geopoint", "photo": "image", "picture": "image",
	"trigger": "acknowledge", "calculation": "calculate", "start time": "start", "end time": "end", "starttime": "start", "endtime": "end",
	"phone number": "phonenumber", "device id": "deviceid", "sim id": "simserial", "sim serial": "simserial", "get today": "today",
	"subscriber id": "subscriberid", "imei": "deviceid", "q string": "text", "q text": "text",
}

// opening and closing rows of groups and repeats.
var (
	openings = map[string]string{
		"begin group": "group", "begin_group": "group", "begin repeat": "repeat", "begin_repeat": "repeat", "begin looped group": "repeat",
		"begin lgroup": "repeat",
	}
	closings = map[string]string{
		"end group": "group", "end_group": "group", "end repeat": "repeat", "end_repeat": "repeat", "end looped group": "repeat", "end lgroup": "repeat",
	}
)

// parseKind splits a type cell: "select_one yn or_other" is select_one, the
// list yn, and other true.
func parseKind(cell string) (name, list string, other, ok bool) {
	words := strings.Fields(cell)
	if n := len(words); n > 1 && (words[n-1] == "or_other" || n > 2 && words[n-2] == "or" && words[n-1] == "specify") {
		other = true
		words = words[:n-1]
		if words[len(words)-1] == "or" {
			words = words[:len(words)-1]
		}
	}
	// The longest run of words that is a type; what follows is the list.
	for n := len(words); n > 0; n-- {
		name = strings.Join(words[:n], " ")
		if _, known := kinds[name]; !known {
			lower := strings.ToLower(name)
			if alias, found := kindAliases[lower]; found {
				name = alias
			} else if _, known = kinds[lower]; known {
				name = lower
			} else {
				continue
			}
		}
		list = strings.Join(words[n:], " ")
		if list != "" && !takesList(name) {
			return "", "", false, false
		}
		return name, list, other, true
	}
	return "", "", false, false
}

func takesList(name string) bool {
	return kinds[name].selects || name == "select_one_external"
}

// fromFile reports whether a type takes its choices from an attached file.
func fromFile(name string) bool { return strings.HasSuffix(name, "_from_file") }

// typeNames lists the types for a message.
func typeNames() []string {
	names := make([]string, 0, len(kinds))
	for n := range kinds {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}
