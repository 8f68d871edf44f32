package reconcile

// Elsewhere looks for the rows that stand as missing among the persons whom the hub knows
// and does not expect on the list. Who agrees in two fields, alone, is shown with the row:
// they are known, and nobody entered them as what the list is of. The standing stays:
// nobody is given to a row here, and two rows may name the same person. matches are as
// [MatchRoster] gives them for rows.
func Elsewhere(matches []Match, others []Known, ruled func(i int) Ruled) {
	if len(others) == 0 {
		return
	}
	m := matcher{known: others, index: indexOf(others)}
	for i := range matches {
		row := matches[i].Row
		if row == nil || matches[i].Standing != Missing {
			continue
		}
		best := m.candidates(row, Ruled{Not: ruled(i).Not}) // what was decided is about those whom the list is of
		if len(best) == 0 || len(best[0].agree) < 2 || len(best) > 1 && better(best[0], best[1]) == 0 {
			continue
		}
		p := others[best[0].person]
		matches[i].Person, matches[i].Agree, matches[i].Differences = &Known{Ref: p.Ref}, best[0].agree, best[0].differ
	}
}
