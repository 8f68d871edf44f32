// Package xlsform makes XForms of XLSForms.
//
// An XLSForm is a form as a spreadsheet: a sheet of questions (survey), one of
// choices, one of settings, and perhaps one of entities. Offices write it in
// Excel or as CSV files. An XForm is the XML that form clients read. The
// meaning of the sheets is that of xlsform.org, the XML is that of the ODK
// XForms specification (getodk.github.io/xforms-spec) and of the ODK entities
// specification, versions 2024.1.0 and, for entities in repeats, 2025.1.0.
//
// What is wrong with a form is said to the person who wrote it in Excel: the
// sheet, the row as Excel numbers it, the column, and what to write instead.
// The wording is that of the reference converter where it has one, because
// that is what people find explained in the community's forum. All faults of a
// form are reported together.
//
// Columns that begin with "otor:" are Otor's own (see package pack) and are
// passed over here. Of the reference converter's warnings the one that asks
// for max-pixels is left out: the page shrinks each photo by itself.
//
// The package is pure: no clock, no files, no goroutine.
//
//   - [Workbook] and [Sheet] are what was written; [ReadCSV] and [ReadXLSX]
//     read them, within bounds.
//   - [Convert] makes a [Result] of a workbook; [Options] name what the sheets
//     leave open.
//   - [Fault] is one thing that is wrong, [Faults] all of them.
package xlsform
