package paper_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"otor/internal/paper"
	"otor/internal/sheet"
)

func sample() paper.Document {
	return paper.Document{
		Title: "设备对账单 D-101 Statement", Author: "hub", At: time.Date(2025, 9, 18, 18, 30, 0, 0, time.UTC),
		Facts: []paper.Fact{
			{"期间 Period", "2025-09-18 00:00 至 2025-09-19 00:00"},
			{"结论 Result", "收到的记录与设备上的记录一致，没有缺失。 Received equals captured; nothing is missing. ᠮᠣᠩᠭᠣᠯ"},
		},
		Tables: []sheet.Table{{
			Name: "记录 Entries", Columns: []sheet.Column{{Title: "编号 Dot", Width: 20}, {Title: "表格 Form"}, {Title: "数量", Number: true, Width: 8}, {Title: "说明", Width: 40}},
			Rows: func(yield func([]any) bool) {
				for i := range 120 {
					if !yield([]any{"D-101/1/record/17", "养老金资格认证", i * 100, strings.Repeat("长说明文字", i%9)}) {
						return
					}
				}
			},
		}},
		Foot: "sha256 9f86d081884c7d659a2feaa0c55ad015", LeftOut: "%d 个字符无法排印 characters could not be set",
	}
}

func TestTextComesBackFromThePaper(t *testing.T) {
	var b bytes.Buffer
	if err := paper.Write(&b, sample()); err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(b.Bytes(), []byte("%PDF-")) {
		t.Fatal("no PDF")
	}
	if b.Len() > 1<<20 {
		t.Errorf("%d bytes: the whole font is in it", b.Len())
	}
	tool, err := exec.LookPath("pdftotext")
	if err != nil {
		if strings.Contains(","+os.Getenv("OTOR_REQUIRE")+",", ",poppler,") {
			t.Fatal("pdftotext is missing and OTOR_REQUIRE names poppler")
		}
		t.Skip("pdftotext (poppler-utils) is not here: what stands in the PDF was not read back")
	}
	file := filepath.Join(t.TempDir(), "a.pdf")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), tool, "-layout", file, "-").Output()
	if err != nil {
		t.Fatal(err)
	}
	text := string(out)
	for _, want := range []string{"设备对账单 D-101 Statement", "没有缺失", "养老金资格认证", "11900", "· 2", "6 个字符无法排印"} {
		if !strings.Contains(text, want) {
			t.Errorf("the paper lacks %q", want)
		}
	}
	for i, page := range strings.Split(text, "\f") {
		if strings.Contains(page, "record/17") && strings.Count(page, "编号 Dot") != 1 {
			t.Errorf("page %d has rows and not one header", i+1)
		}
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r >= 0x1800 && r <= 0x18AF }) {
		t.Error("Mongolian was set in a font that cannot")
	}
}

func TestAWordLongerThanALine(t *testing.T) {
	d := sample()
	d.Tables[0].Rows = func(yield func([]any) bool) {
		yield([]any{strings.Repeat("x", 4000), "", nil, strings.Repeat("字", 500)})
	}
	var b bytes.Buffer
	if err := paper.Write(&b, d); err != nil {
		t.Fatal(err)
	}
}
