package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"otor/hub/reconcile"
	"otor/internal/cli"
	"otor/internal/durable"
	"otor/internal/form"
	"otor/internal/identity"
	"otor/internal/webui"
)

func newStatement(app *cli.App) *cobra.Command {
	return cli.Group("statement", "Signed accounts of what was captured, received, applied and set aside", newStatementMake(app), newStatementVerify(app))
}

// statementFlags are what statement make is told.
type statementFlags struct {
	device, team, form string
	all                bool
	from, until        string
	lang               string
}

func newStatementMake(app *cli.App) *cobra.Command {
	var f statementFlags
	cmd := &cobra.Command{
		Use: "make FILE", Short: "Draw and sign a statement; FILE ends in .json, .xlsx, .pdf or .csv", Args: cli.OneArg("FILE"),
		Long: "Accounts for a device, a team, a service item (form) or the whole hub over a period, by the corrected time\n" +
			"of the entries. The hub key signs it and the ledger records it. JSON and XLSX can be verified; the paper\n" +
			"and the CSV name the SHA-256 of what was signed.",
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := f.terms(app.Zone)
			if err != nil {
				return err
			}
			titles := map[string]form.Labels{}
			write, err := f.writer(args[0], func(lang, id string) string { return titles[id].In(lang) })
			if err != nil {
				return err
			}
			return reads().with(cmd.Context(), app, func(o office, _ bool) error {
				if titles, err = formTitles(cmd.Context(), o); err != nil {
					return err
				}
				signed, err := o.Statement(cmd.Context(), t)
				if err != nil {
					return err
				}
				return saveStatement(app, args[0], signed, write)
			})
		},
	}
	f.add(cmd, "account for")
	return cmd
}

// add adds the flags; verb is what is done.
func (f *statementFlags) add(cmd *cobra.Command, verb string) {
	fl := cmd.Flags()
	fl.StringVar(&f.device, "device", "", verb+" this `device`")
	fl.StringVar(&f.team, "team", "", verb+" the devices of this `team`")
	fl.StringVar(&f.form, "form", "", verb+" this service item, a `form`")
	fl.BoolVar(&f.all, "all", false, verb+" everything")
	fl.StringVar(&f.from, "from", "", "first `day`, 2006-01-02")
	fl.StringVar(&f.until, "until", "", "last `day`, included (default: the first)")
	fl.StringVar(&f.lang, "lang", "zh", "`language` of the words: zh, mn or en")
}

// terms reads the flags.
func (f statementFlags) terms(zone *time.Location) (reconcile.Terms, error) {
	var t reconcile.Terms
	chosen := 0
	for subject, name := range map[reconcile.Subject]string{reconcile.OfDevice: f.device, reconcile.OfTeam: f.team, reconcile.OfForm: f.form} {
		if name != "" {
			t.Subject, t.Name = subject, name
			chosen++
		}
	}
	if f.all {
		t.Subject = reconcile.OfAll
		chosen++
	}
	if chosen != 1 {
		return t, cli.Misuse("--device", "say what to account for", "give one of --device, --team, --form, --all")
	}
	if f.until == "" {
		f.until = f.from
	}
	for _, d := range []struct {
		flag, text string
		into       *time.Time
		add        int
	}{{"--from", f.from, &t.From, 0}, {"--until", f.until, &t.Until, 1}} {
		day, err := time.ParseInLocation("2006-01-02", d.text, zone)
		if err != nil {
			return t, cli.Misuse(d.flag, "%q is no day", "write it like 2025-09-18", d.text)
		}
		*d.into = day.AddDate(0, 0, d.add)
	}
	return t, nil
}

// writer chooses how the statement is written by the file's ending.
func (f statementFlags) writer(file string, title func(lang, id string) string) (func(io.Writer, reconcile.Statement, reconcile.Signed) error, error) {
	if f.lang != "zh" && f.lang != "mn" && f.lang != "en" {
		return nil, cli.Misuse("--lang", "there is no language %q", "choose zh, mn or en", f.lang)
	}
	switch strings.ToLower(filepath.Ext(file)) {
	case ".json":
		return func(w io.Writer, _ reconcile.Statement, s reconcile.Signed) error { return s.WriteJSON(w) }, nil
	case ".xlsx":
		return func(w io.Writer, st reconcile.Statement, s reconcile.Signed) error {
			return reconcile.WriteXLSX(w, st, s, f.lang, title)
		}, nil
	case ".pdf":
		return func(w io.Writer, st reconcile.Statement, s reconcile.Signed) error {
			return reconcile.WritePDF(w, st, s, f.lang, title)
		}, nil
	case ".csv":
		return func(w io.Writer, st reconcile.Statement, s reconcile.Signed) error {
			return reconcile.WriteCSV(w, st, s, f.lang, title)
		}, nil
	}
	return nil, cli.Misuse("FILE", "the file %s has no ending that says what to write", "end it in .json, .xlsx, .pdf or .csv", file)
}

// formTitles are what forms are called by the packs that the hub works by: a form that
// the newest has no more goes by an older one.
func formTitles(ctx context.Context, o office) (map[string]form.Labels, error) {
	packs, err := o.Packs(ctx)
	if r, ok := errors.AsType[*webui.Refusal](err); ok && r.Code == "no_packs" {
		return nil, nil // forms go by their names
	}
	out := make(map[string]form.Labels)
	for _, p := range packs { // the oldest first
		maps.Copy(out, p.FormTitles)
	}
	for _, p := range packs {
		if p.Current {
			maps.Copy(out, p.FormTitles)
		}
	}
	return out, err
}

func saveStatement(app *cli.App, file string, signed reconcile.Signed, write func(io.Writer, reconcile.Statement, reconcile.Signed) error) error {
	b, err := signedBytes(signed)
	if err != nil {
		return err
	}
	st, signed, err := reconcile.Verify(b, &signed.Key)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := write(&out, st, signed); err != nil {
		return err
	}
	if err := durable.WriteFile(file, out.Bytes(), 0o600); err != nil {
		return fmt.Errorf("write the statement: %w", err)
	}
	return tell(app, file, st, signed)
}

func signedBytes(s reconcile.Signed) ([]byte, error) {
	var b bytes.Buffer
	err := s.WriteJSON(&b)
	return b.Bytes(), err
}

// statementLine is what both commands answer with --json.
type statementLine struct {
	File     string           `json:"file"`
	Digest   string           `json:"sha256"`
	Hub      string           `json:"hub"`
	Complete bool             `json:"complete"`
	Wrong    []string         `json:"wrong"`
	Counts   reconcile.Counts `json:"counts"`
}

func tell(app *cli.App, file string, st reconcile.Statement, s reconcile.Signed) error {
	ok, wrong := st.Complete()
	if app.JSON {
		lacks := make([]string, 0, len(wrong))
		for _, w := range wrong {
			lacks = append(lacks, w.String())
		}
		return app.PrintJSON(statementLine{file, s.Digest(), st.Hub, ok, lacks, st.Counts})
	}
	c := st.Counts
	err := app.Printf("%s: %d received = %d applied + %d set aside + %d held; signed by %s\nsha256 %s\n",
		file, c.Received, c.Applied, c.SetAside, c.Held, st.Hub, s.Digest())
	for _, w := range wrong {
		if err == nil {
			err = app.Printf("not complete: %s\n", w)
		}
	}
	return err
}

func newStatementVerify(app *cli.App) *cobra.Command {
	var key string
	cmd := &cobra.Command{
		Use: "verify FILE", Short: "Check a statement's signature, without any hub", Args: cli.OneArg("FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			var hub *identity.PublicKey
			if key != "" {
				hub = new(identity.PublicKey)
				if err := hub.UnmarshalText([]byte(key)); err != nil {
					return cli.Misuse("--hub-key", "%q is no hub's key", "copy it from a statement that you trust, or from hub status --json", key)
				}
			}
			b, err := readStatement(args[0])
			if err != nil {
				return err
			}
			st, s, err := reconcile.Verify(b, hub)
			if err != nil {
				return &cli.Error{Exit: cli.Integrity, Code: "bad_statement", What: err.Error(), Which: args[0], Do: "ask for the file again, from whoever signed it"}
			}
			return tell(app, args[0], st, s)
		},
	}
	cmd.Flags().StringVar(&key, "hub-key", "", "the `key` that must have signed it; without it the one that the file names is taken, which shows only that nothing was changed")
	return cmd
}

// maxStatementFile bounds a file that is checked, in bytes, well above any statement.
const maxStatementFile = 64 << 20

func readStatement(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, cli.Misuse("FILE", "the file cannot be read: %v", "name a statement", err)
	}
	defer func() { _ = f.Close() }() // only read
	b, err := io.ReadAll(io.LimitReader(f, maxStatementFile+1))
	if err != nil {
		return nil, cli.Misuse("FILE", "the file cannot be read: %v", "name a statement", err)
	}
	if len(b) > maxStatementFile {
		return nil, &cli.Error{Exit: cli.Integrity, Code: "bad_statement", What: fmt.Sprintf("the file has more than %d MB, as no statement has", maxStatementFile>>20), Which: file, Do: "name a statement"}
	}
	return b, nil
}
