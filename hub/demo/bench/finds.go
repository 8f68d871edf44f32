package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"otor/agent/device"
	"otor/agent/web"
	"otor/internal/gauge"
	"otor/internal/runfile"
)

// findQueries is how often it is looked for something.
const findQueries = 1000

// finds measures how long a device takes to find entities: in process, and through
// its local API.
func (b *bench) finds(ctx context.Context) (out []gauge.Figure, err error) {
	dir, drop, err := b.folder("find")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, drop()) }()
	ready := make(chan string, 1)
	p, err := b.settled(ctx, dir, func(c *device.Config) { c.Ready = func(page string) { ready <- page } })
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	began := time.Now()
	if _, err := p.dev.Find(ctx, "H-", 20); err != nil {
		return nil, err
	}
	first := float64(time.Since(began).Microseconds()) / 1e3
	of := fmt.Sprintf("99th percentile of %d, %d entities", findQueries, entitiesEach*b.Households)
	took, err := b.search(ctx, func(words string) (int, error) { found, err := p.dev.Find(ctx, words, 20); return len(found), err })
	if err != nil {
		return nil, err
	}
	f := latency("FIND", "find in process, "+of, took, goalFind)
	f.Parts = append(f.Parts, gauge.Part{What: "the first search after the start", Value: first})
	out = append(out, f)

	stop := online(ctx, p.dev)
	defer func() { err = errors.Join(err, stop()) }()
	ask, err := localAPI(ctx, p.cfg.Dir, ready)
	if err != nil {
		return nil, err
	}
	if _, err := ask("H-"); err != nil {
		return nil, err
	}
	err = b.profiles.Run("FIND", func() (err error) { took, err = b.search(ctx, ask); return err })
	return append(out, latency("FIND", "find through the local API, "+of, took, goalFind)), err
}

// localAPI asks a running device as other programs on it do.
func localAPI(ctx context.Context, dir string, ready <-chan string) (ask func(words string) (int, error), err error) {
	var page *url.URL
	select {
	case text := <-ready:
		if page, err = url.Parse(text); err != nil {
			return nil, err
		}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	token, err := runfile.Token(dir)
	if err != nil {
		return nil, err
	}
	return func(words string) (n int, err error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+page.Host+"/api/v1/find?"+url.Values{"words": {words}}.Encode(), nil)
		if err != nil {
			return 0, err
		}
		r.Header.Set("Authorization", "Bearer "+token)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, answer.Body.Close()) }()
		if answer.StatusCode != http.StatusOK {
			return 0, fmt.Errorf("find %q: %s", words, answer.Status)
		}
		var found []web.Found
		err = json.NewDecoder(answer.Body).Decode(&found)
		return len(found), err
	}, nil
}

// search asks for ids, names, parts of names and telephones, each of which is
// there, and gives the times in ms.
func (b *bench) search(ctx context.Context, ask func(words string) (found int, err error)) (took []float64, err error) {
	r := rand.New(rand.NewPCG(5, 5))
	people := newPopulation(10)
	var words []string
	for i := range min(b.Households, 200) {
		for _, x := range people.household(i) {
			for _, field := range []string{"phone", "name_zh", "name_latin", "cert_no"} {
				if v, ok := x.Fields[field].(string); ok {
					words = append(words, v)
				}
			}
			words = append(words, x.Ref.ID, strings.ToLower(x.Ref.ID))
		}
	}
	for range findQueries {
		w := words[r.IntN(len(words))]
		began := time.Now()
		n, err := ask(w)
		took = append(took, float64(time.Since(began).Microseconds())/1e3)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, fmt.Errorf("nothing was found for %q, which is there", w)
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	return took, nil
}
