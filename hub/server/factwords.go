package server

import (
	"context"
	"net/url"
	"strconv"
	"strings"

	"otor/hub/access"
	"otor/hub/console"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/form"
	"otor/internal/lane"
)

// factSaid is what stands in the bodies of facts and is told of them; nothing of it is
// private. What is a number in one and a text in another is read where it is told.
type factSaid struct {
	Device      dot.Device      `json:"device"`
	Incarnation dot.Incarnation `json:"incarnation"`
	Lane        dot.Lane        `json:"lane"`
	First       dot.Seq         `json:"first"`
	Last        dot.Seq         `json:"last"`
	Scopes      []string        `json:"scopes"`
	Reason      string          `json:"reason"`
	Choice      string          `json:"choice"`
	What        string          `json:"what"`
	Words       string          `json:"words"`
	Field       string          `json:"field"`
	Type        string          `json:"type"`
	ItemKind    string          `json:"item_kind"`
	Path        string          `json:"path"`
	Entries     any             `json:"entries"` // how many, of a backup
	Backup      string          `json:"backup"`
	Made        any             `json:"made"` // when, of a backup
	Replayed    int             `json:"replayed"`
	Facts       int             `json:"facts"`
	Doubt       bool            `json:"doubt"`
	Format      string          `json:"format"`
	Rows        int             `json:"rows"`
	File        string          `json:"file"`
	Import      int             `json:"import"`
	Bytes       int             `json:"bytes"`
	Undone      bool            `json:"undone"`
	Version     any             `json:"version"`
	Kind        string          `json:"kind"`
	Ruling      struct {
		Kind   string `json:"kind"`
		Choice string `json:"choice"`
		Reason string `json:"reason"`
	} `json:"ruling"`
}

func said(name, value string) console.FactPart { return console.FactPart{Name: name, Value: value} }

// coded is a part whose value is a code of a set that the console has words for.
func coded(name, value, of string) console.FactPart {
	return console.FactPart{Name: name, Value: value, Of: of}
}

func counted(name string, n int) console.FactPart { return said(name, strconv.Itoa(n)) }

// parts tells what a fact says, in the order in which people ask for it: which, what, how
// much, why.
func (t *factTeller) parts(ctx context.Context, f *FactLine, row *console.FactRow, asked *form.Form) error {
	b, err := factBody[factSaid](f.Body)
	if err != nil {
		return err
	}
	row.Parts = t.told(f, b, asked)
	switch f.Kind {
	case kindStatement, kindExport:
		return t.taken(f, row)
	case kindInvited, kindEnrolled, kindRevoked, kindConfirmed, kindTwin, kindGranted, kindSealed:
		seen, err := t.sight.device(ctx, b.Device)
		if err == nil && seen && b.Device != "" {
			row.About, row.Link = string(b.Device), "/records?device="+url.QueryEscape(string(b.Device))
		}
		return err
	case kindRoster, kindRosterRuling, kindRosterPiece:
		kind := b.Kind + b.Ruling.Kind
		if f.Kind == kindRosterPiece {
			kind = f.Subject
		}
		row.About = t.o.rosterTitle(kind, t.say.lang)
		if row.About != "" && asker(ctx).Role.May(access.Roster) {
			row.Link = "/roster/list/" + url.PathEscape(kind)
		}
	}
	return nil
}

// told are the parts of a fact of a kind.
func (t *factTeller) told(f *FactLine, b factSaid, asked *form.Form) []console.FactPart {
	reason := said("reason", b.Reason)
	life := said("life", strconv.FormatUint(uint64(b.Incarnation), 10))
	doubt := coded("doubt", strconv.FormatBool(b.Doubt), "doubt")
	switch f.Kind {
	case kindInvited, kindGranted:
		return []console.FactPart{said("scopes", strings.Join(b.Scopes, " "))}
	case kindEnrolled, kindTwin:
		return []console.FactPart{life}
	case kindSealed:
		run := dot.Chain{Device: b.Device, Incarnation: b.Incarnation, Lane: b.Lane}.String() + " " + lane.Run(b.First, b.Last).String()
		return []console.FactPart{said("missing", run), reason}
	case kindOpened:
		return []console.FactPart{said("version", textOf(b.Version))}
	case kindBackedUp:
		return []console.FactPart{said("path", b.Path), said("entries", textOf(b.Entries))}
	case kindRestored:
		made, _ := b.Made.(string)
		return []console.FactPart{said("backup", b.Backup), said("made", made), counted("replayed", b.Replayed), doubt}
	case kindReplayed:
		return []console.FactPart{counted("replayed", b.Facts)}
	case kindSucceeded:
		return []console.FactPart{doubt}
	case kindAccess:
		return append([]console.FactPart{coded("what", b.What, "what")}, accessParts(b.What, b.Words)...)
	case kindDecision:
		where := said("field", t.say.field(b.Type, b.Field))
		if b.ItemKind != store.Conflicts { // it goes by the rule that opened it, and a record
			where = said("record", b.Field[strings.LastIndex(b.Field, " ")+1:])
		}
		return []console.FactPart{coded("item", b.ItemKind, "kind"), where, coded("choice", b.Choice, "choice"), reason}
	case kindAside:
		return []console.FactPart{coded("choice", b.Choice, "aside"), reason}
	case kindRevealed:
		return []console.FactPart{said("field", t.revealedField(f, b.Field, asked)), reason}
	case kindExport:
		return []console.FactPart{counted("rows", b.Rows), said("format", strings.ToUpper(b.Format))}
	case kindRoster:
		return []console.FactPart{counted("import", b.Import), said("file", b.File)}
	case kindRosterPiece:
		return []console.FactPart{counted("bytes", b.Bytes)}
	case kindRosterRuling:
		choice := coded("choice", b.Ruling.Choice, "roster_choice")
		if b.Undone {
			choice = coded("choice", "undo", "choice")
		}
		return []console.FactPart{choice, said("reason", b.Ruling.Reason)}
	}
	return nil
}

// accessParts are what an act of access says besides: the words that the door writes.
func accessParts(what, words string) []console.FactPart {
	if _, host, ok := strings.Cut(words, "from "); ok && (what == "signed_in" || what == "link_used" || what == "refused") {
		return []console.FactPart{said("from", host)}
	}
	if role, scopes, ok := strings.Cut(words, " in "); ok && (what == "operator_added" || what == "operator_changed") {
		return []console.FactPart{coded("role", role, "role"), said("scopes", scopes)}
	}
	return []console.FactPart{said("words", words)}
}

// revealedField is what the field is called that somebody looked at.
func (t *factTeller) revealedField(f *FactLine, field string, of *form.Form) string {
	if of != nil {
		if x, _ := asked(of.Fields, field, nil); x != nil && x.Label.In(t.say.lang) != "" {
			return x.Label.In(t.say.lang)
		}
		return field
	}
	if _, err := dot.Parse(f.Subject); err == nil {
		return field
	}
	typ, _, _ := strings.Cut(f.Subject, "/")
	return t.say.field(typ, field)
}

// taken tells what a statement or an export is about.
func (t *factTeller) taken(f *FactLine, row *console.FactRow) error {
	if f.Kind == kindStatement {
		b, err := factBody[statementFact](f.Body)
		if err == nil {
			terms := accounts{t.o}.shown(b.Terms)
			row.Terms = &terms
		}
		return err
	}
	b, err := factBody[exportFact](f.Body)
	if err != nil {
		return err
	}
	row.Terms = &console.StatementTerms{Subject: b.Filter.Subject, Name: b.Filter.Name, From: b.Filter.From.In(t.o.zone), Until: b.Filter.Until.In(t.o.zone)}
	numbers := "masked"
	if b.Filter.Whole {
		numbers = "whole"
	}
	row.Parts = append(row.Parts, coded("numbers", numbers, "numbers"), said("reason", b.Filter.Reason))
	return nil
}
