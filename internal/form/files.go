package form

// Files lists the names of photos, recordings and other files that a sheet's
// answers give, in the order of the questions, each once.
func (f *Form) Files(sheet map[string]any) []string {
	var out []string
	seen := make(map[string]bool)
	for _, name := range filesOf(f.Fields, sheet, nil) {
		if !seen[name] {
			seen[name] = true
			out = append(out, name)
		}
	}
	return out
}

func filesOf(fields []Field, sheet map[string]any, out []string) []string {
	for i := range fields {
		fd := &fields[i]
		answers, many := sheet[fd.Name].([]any)
		if !many {
			answers = []any{sheet[fd.Name]}
		}
		for _, a := range answers {
			switch a := a.(type) {
			case map[string]any:
				if fd.Kind.Nests() {
					out = filesOf(fd.Fields, a, out)
				}
			case string:
				if fd.Kind.Attaches() && a != "" {
					out = append(out, a)
				}
			}
		}
	}
	return out
}

// Attaches reports whether an answer is the name of a file.
func (k Kind) Attaches() bool { return k == Image || k == Audio || k == Video || k == File }
