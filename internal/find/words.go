package find

// The beginnings of words tell pairs of letters from whole numbers.
const (
	pairWord   = "t:"
	numberWord = "n:"
)

// Words are the words of texts and of whole numbers, each once, at most [MostPairs].
func Words(texts, numbers []string) (out []string) {
	seen := make(map[string]bool)
	add := func(w string) {
		if !seen[w] && len(out) < MostPairs {
			seen[w] = true
			out = append(out, w)
		}
	}
	for _, n := range numbers {
		add(numberWord + n)
	}
	for _, t := range texts {
		for _, p := range Pairs(t) {
			add(pairWord + p)
		}
	}
	return out
}

// Words are those that everything has which matches the query.
func (q Query) Words() (out []string) {
	for _, n := range q.Numbers {
		out = append(out, numberWord+n)
	}
	for _, p := range q.Pairs() {
		out = append(out, pairWord+p)
	}
	return out
}
