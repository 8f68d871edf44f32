package server_test

import (
	"bytes"
	"encoding"
	"encoding/json"
	"flag"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3gen"

	"otor/docs"
	"otor/hub/access"
	"otor/hub/console"
	"otor/hub/server"
	"otor/hub/store"
	"otor/internal/webui"
)

var rewrite = flag.Bool("openapi", false, "rewrite docs/openapi.json: the diff shows what changed for programs")

// refusalAnswer is how every refusal is told.
type refusalAnswer struct {
	Error webui.Refusal `json:"error"`
}

var (
	textual = reflect.TypeFor[encoding.TextMarshaler]()
	rawJSON = reflect.TypeFor[json.RawMessage]()
	skew    = reflect.TypeFor[console.Skew]()
)

// shape is a type as JSON has it.
func shape(v any) *openapi3.SchemaRef {
	ref, err := openapi3gen.NewSchemaRefForValue(v, nil, openapi3gen.UseAllExportedFields(), openapi3gen.SchemaCustomizer(
		func(_ string, t reflect.Type, _ reflect.StructTag, s *openapi3.Schema) error {
			switch {
			case t == rawJSON:
				*s = openapi3.Schema{Description: "any JSON"}
			case t == skew:
				*s = openapi3.Schema{Type: &openapi3.Types{"number"}, Nullable: true, Description: "seconds ahead of the hub's clock"}
			case t.Implements(textual) || reflect.PointerTo(t).Implements(textual):
				format := ""
				if t.String() == "time.Time" || t.String() == "*time.Time" {
					format = "date-time"
				}
				*s = openapi3.Schema{Type: &openapi3.Types{"string"}, Format: format}
			}
			if k := t.Kind(); k == reflect.Slice || k == reflect.Map || t == rawJSON {
				s.Nullable = true
			}
			if t.Kind() == reflect.Struct && !t.Implements(textual) {
				pointers(t, s)
			}
			return nil
		}))
	if err != nil {
		panic(err) // a type of this program's
	}
	return ref
}

// pointers marks fields that may be null.
func pointers(t reflect.Type, s *openapi3.Schema) {
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if p := s.Properties[name]; p != nil && p.Value != nil && f.Type.Kind() == reflect.Pointer {
			v := *p.Value
			v.Nullable = true
			s.Properties[name] = v.NewRef()
		}
	}
}

var inBraces = regexp.MustCompile(`\{(\w+)\}`)

// document makes the description of the API of calls and of who may do what.
func document(acts map[string]access.Act) *openapi3.T {
	doc := &openapi3.T{
		OpenAPI: "3.0.3",
		Info: &openapi3.Info{Title: "Otor hub", Version: "1", Description: "What programs ask of a hub. `x-otor-roles` are the roles that a route answers; with `x-otor-everywhere` " +
			"only to those whose scopes cover everything. Answers hold what the asker's scopes cover. Numbers of people are masked unless the role may reveal them."},
		Components: &openapi3.Components{
			Schemas: openapi3.Schemas{"Refusal": shape(refusalAnswer{})},
			SecuritySchemes: openapi3.SecuritySchemes{"token": &openapi3.SecuritySchemeRef{Value: openapi3.NewSecurityScheme().WithType("http").WithScheme("bearer").
				WithDescription("a token that an operator made on the account page, or the one in the hub's folder")}},
		},
		Security: *openapi3.NewSecurityRequirements().With(openapi3.NewSecurityRequirement().Authenticate("token")),
		Paths:    openapi3.NewPaths(),
	}
	for _, c := range calls {
		method, path, _ := strings.Cut(c.pattern, " ")
		doc.AddOperation(path, method, c.operation(acts[c.pattern], doc.Components.Schemas["Refusal"].Value))
	}
	return doc
}

func (c call) operation(act access.Act, refusal *openapi3.Schema) *openapi3.Operation {
	op := openapi3.NewOperation()
	op.Summary, op.Tags = c.words, []string{c.tag}
	for _, m := range inBraces.FindAllStringSubmatch(c.pattern, -1) {
		op.AddParameter(openapi3.NewPathParameter(m[1]).WithSchema(openapi3.NewStringSchema()).WithDescription(inPath[m[1]]))
	}
	for _, p := range c.query {
		op.AddParameter(openapi3.NewQueryParameter(p.name).WithSchema(&openapi3.Schema{Type: &openapi3.Types{p.kind}}).WithDescription(p.words))
	}
	media := c.answerType
	if media == "" {
		media = "application/json"
	}
	answer := openapi3.NewMediaType()
	if c.answer != nil {
		answer.Schema = shape(c.answer)
	}
	said := "done"
	if media == ndjson {
		said = "one such object a line"
	}
	op.AddResponse(http.StatusOK, openapi3.NewResponse().WithDescription(said).WithContent(openapi3.Content{media: answer}))
	if c.body != nil {
		op.RequestBody = &openapi3.RequestBodyRef{Value: openapi3.NewRequestBody().WithRequired(true).WithContent(openapi3.Content{"application/json": {Schema: shape(c.body)}})}
	} else if c.raw != "" {
		op.RequestBody = &openapi3.RequestBodyRef{Value: openapi3.NewRequestBody().WithRequired(true).
			WithContent(openapi3.Content{c.raw: {Schema: openapi3.NewStringSchema().WithFormat("binary").NewRef()}})}
	}
	refuse := func(status int, words string, codes ...string) {
		if len(codes) > 0 {
			words += ": " + strings.Join(codes, ", ")
		}
		op.AddResponse(status, openapi3.NewResponse().WithDescription(words).WithContent(openapi3.Content{"application/json": {Schema: openapi3.NewSchemaRef("#/components/schemas/Refusal", refusal)}}))
	}
	op.Extensions = map[string]any{}
	if act == "" || act == "open" {
		op.Security = openapi3.NewSecurityRequirements()
		op.Extensions["x-otor-roles"] = []string{"anybody"}
	} else {
		roles := []string{}
		for _, r := range access.Roles {
			if r.May(act) {
				roles = append(roles, string(r))
			}
		}
		op.Extensions["x-otor-roles"], op.Extensions["x-otor-act"] = roles, string(act)
		if server.Whole(act) {
			op.Extensions["x-otor-everywhere"] = true
		}
		refuse(http.StatusUnauthorized, "who asks is not known", "not_signed_in")
		refuse(http.StatusForbidden, "the role or the scopes do not reach", "not_allowed")
		refuse(http.StatusInternalServerError, "the hub's own trouble; its log says more", "internal")
	}
	switch {
	case strings.HasPrefix(c.pattern, "GET /api/v1/events"):
		refuse(http.StatusServiceUnavailable, "not now", c.codes...)
	case c.pattern == "GET /readyz":
		op.AddResponse(http.StatusServiceUnavailable, openapi3.NewResponse().WithDescription("not ready; the hub's log says why"))
	case c.pattern == "GET /metrics":
		refuse(http.StatusUnauthorized, "not from this machine and without a token", "not_signed_in")
		refuse(http.StatusForbidden, "the token does not see everything", "not_allowed")
	case len(c.codes) > 0:
		codes := slices.Clone(c.codes)
		slices.Sort(codes)
		refuse(http.StatusUnprocessableEntity, "refused; the code says why, the words what to do", codes...)
	}
	return op
}

// The document is that of the routes, and as it is committed.
func TestOpenAPI(t *testing.T) {
	s, _ := serve(t)
	acts := maps.Clone(server.OfficeActs())
	for pattern, act := range s.SiteActs() {
		if strings.Contains(pattern, " /api/") {
			acts[pattern] = act
		}
	}
	described := make(map[string]bool)
	for _, c := range calls {
		if described[c.pattern] {
			t.Errorf("%s is described twice", c.pattern)
		}
		described[c.pattern] = true
		if _, path, _ := strings.Cut(c.pattern, " "); acts[c.pattern] == "" && strings.HasPrefix(path, "/api/") && path != "/api/v1/openapi.json" {
			t.Errorf("%s is no route", c.pattern)
		}
		for _, m := range inBraces.FindAllStringSubmatch(c.pattern, -1) {
			if inPath[m[1]] == "" {
				t.Errorf("%s: nobody says what %s is", c.pattern, m[1])
			}
		}
	}
	for pattern := range acts {
		if !described[pattern] {
			t.Errorf("route %s is not described: add it to calls in apidoc_test.go and run this test with -openapi", pattern)
		}
	}
	doc := document(acts)
	if err := doc.Validate(t.Context()); err != nil {
		t.Errorf("it is no valid document: %v", err)
	}
	b, err := json.MarshalIndent(doc, "", " ")
	check(t, err)
	b = append(b, '\n')
	if *rewrite {
		check(t, os.WriteFile("../../docs/openapi.json", b, 0o644))
		return
	}
	if !bytes.Equal(b, docs.OpenAPI) {
		t.Error("docs/openapi.json is not that of the routes: run go test ./hub/server -run TestOpenAPI -openapi, and look at the diff")
	}
	c := browser(t)
	if status, got, _ := send(t, c, "GET", "http://"+s.HTTPAddr()+"/api/v1/openapi.json", "", false); status != http.StatusOK || got != string(docs.OpenAPI) {
		t.Errorf("the hub serves another document: %d", status)
	}
}

// faultCodes finds what a list may be refused for.
var faultCodes = regexp.MustCompile(`(?:\bfault\(|sheet\.Fault\{\s*Code: )"([a-z_]+)"`)

// Codes that the document names are the program's.
func TestOpenAPICodes(t *testing.T) {
	var source strings.Builder
	for _, dir := range []string{"..", "../../internal/webui", "../../internal/sheet", "../../internal/pack"} {
		check(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			b, err := os.ReadFile(path)
			source.Write(b)
			return err
		}))
	}
	text := source.String()
	for _, m := range faultCodes.FindAllStringSubmatch(text, -1) { // an answer puts the list before the fault's code
		text += ` "roster_` + m[1] + `"`
	}
	for _, c := range calls {
		for _, code := range append([]string{"not_signed_in", "not_allowed", "internal"}, c.codes...) {
			if !strings.Contains(text, `"`+code+`"`) {
				t.Errorf("%s: no part of the hub refuses with %s", c.pattern, code)
			}
		}
	}
}

// What a hub answers is what the document says.
func TestAnswersAreAsDescribed(t *testing.T) {
	s, _ := town(t)
	doc, err := openapi3.NewLoader().LoadFromData(docs.OpenAPI)
	check(t, err)
	c := joined(t, s, "boss", "administrator", "*")
	of := url.Values{"all": {"true"}, "entity": {"household/H-AA"}}
	for e, err := range s.Store().Entries(t.Context(), store.EntryQuery{Limit: 1}) {
		check(t, err)
		of.Set("dot", e.Dot.String())
	}
	looked := 0
	for _, x := range calls {
		method, path, _ := strings.Cut(x.pattern, " ")
		if method != http.MethodGet || strings.Contains(path, "{") || !strings.HasPrefix(path, "/api/") || x.answer == nil {
			continue
		}
		status, body, _ := send(t, c, method, "http://"+s.HTTPAddr()+path+"?"+of.Encode(), "", false)
		if strings.Contains(body, `"no_packs"`) { // this hub has a fixed one
			continue
		}
		if status != http.StatusOK {
			t.Errorf("%s: %d %.300s", x.pattern, status, body)
			continue
		}
		media := x.answerType
		if media == "" {
			media = "application/json"
		}
		schema := doc.Paths.Find(path).GetOperation(method).Responses.Status(http.StatusOK).Value.Content.Get(media).Schema.Value
		answers := []string{body}
		if media == ndjson {
			answers = strings.Split(strings.TrimSpace(body), "\n")
		}
		for _, a := range answers {
			if a == "" {
				continue
			}
			var v any
			check(t, json.Unmarshal([]byte(a), &v))
			if err := schema.VisitJSON(v); err != nil {
				t.Errorf("%s: %v", x.pattern, err)
			}
			if unknown := beyond(schema, v); unknown != "" {
				t.Errorf("%s: answers %s, which is not described", x.pattern, unknown)
			}
			looked++
		}
	}
	if looked < 15 {
		t.Errorf("only %d answers were looked at", looked)
	}
	// A refusal is as it is described.
	_, body, _ := send(t, c, "GET", "http://"+s.HTTPAddr()+office+"photos/x", "", false)
	var v any
	check(t, json.Unmarshal([]byte(body), &v))
	if err := doc.Components.Schemas["Refusal"].Value.VisitJSON(v); err != nil || !strings.Contains(body, "bad_photo") {
		t.Errorf("a refusal: %v %s", err, body)
	}
}

// beyond names a field of an answer that its schema does not have; "" for none.
func beyond(s *openapi3.Schema, v any) string {
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			if s.Items == nil {
				return ""
			}
			if u := beyond(s.Items.Value, x); u != "" {
				return u
			}
		}
	case map[string]any:
		if s.Type == nil || s.AdditionalProperties.Schema != nil || len(s.Properties) == 0 {
			return ""
		}
		for k, x := range v {
			p, ok := s.Properties[k]
			if !ok {
				return k
			}
			if u := beyond(p.Value, x); u != "" {
				return k + "." + u
			}
		}
	}
	return ""
}
