package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"otor/hub/ingest"
	"otor/internal/entry"
)

// bannerScope is the one scope in which the population lives.
const (
	bannerGacha = "NB"
	bannerScope = "gacha:" + bannerGacha
)

// What a household has, beside a pension or a plot: 10,000 households have 60,000
// entities. perFixtures is how many are imported at a time.
const (
	personsEach  = 2
	herdsEach    = 2
	entitiesEach = 1 + personsEach + herdsEach + 1
	perFixtures  = 5_000
)

// population makes entities as an office's lists have them: households and what
// is theirs, with every field that a list has. The same seed gives the same ones.
type population struct {
	r     *rand.Rand
	total int // entities made so far
}

func newPopulation(seed uint64) *population {
	return &population{r: rand.New(rand.NewPCG(seed, 0x0906))}
}

var (
	surnames = []rune("王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗宝包白乌额敖")
	givens   = []rune("伟芳娜敏静丽强磊军洋勇艳杰涛明超秀霞平刚桂英华玉兰萍红鹏梅建国志文斌婷海燕雪云龙飞其木格高娃巴图苏和那仁额尔敦")
	latins   = []string{"Bat", "Bolor", "Chimeg", "Dorj", "Enkh", "Gerel", "Khulan", "Munkh", "Naran", "Oyun", "Saran", "Temur", "Tuya", "Zaya"}
)

func (p *population) name() string {
	out := []rune{surnames[p.r.IntN(len(surnames))]}
	for range 1 + p.r.IntN(2) {
		out = append(out, givens[p.r.IntN(len(givens))])
	}
	return string(out)
}

func (p *population) day(from, years int) string {
	return time.Date(from, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, p.r.IntN(365*years)).Format(time.DateOnly)
}

func householdID(i int) string { return fmt.Sprintf("H-%s-%05d", bannerGacha, i) }

// household makes household i and what is its.
func (p *population) household(i int) []ingest.Fixture {
	h := householdID(i)
	add := func(typ, id string, fields map[string]any) ingest.Fixture {
		p.total++
		return ingest.Fixture{Ref: entry.Ref{Type: typ, ID: id}, Fields: fields}
	}
	out := []ingest.Fixture{add("household", h, map[string]any{
		"gacha": bannerGacha, "grid": fmt.Sprintf("%s-%02d", bannerGacha, 1+p.r.IntN(40)), "head": fmt.Sprintf("P-%05d-1", i),
		"phone": fmt.Sprintf("154%08d", p.r.IntN(100_000_000)), "ger_count": int64(1 + p.r.IntN(4)),
		"camp_waypoint": fmt.Sprintf("W%d", p.r.IntN(9)), "service_team": fmt.Sprintf("T%d", 1+p.r.IntN(12)), "next_visit": p.day(2025, 1),
	})}
	for n := 1; n <= personsEach; n++ {
		relation, born := "head", p.day(1938, 60)
		if n > 1 {
			relation = "spouse"
		}
		out = append(out, add("person", fmt.Sprintf("P-%05d-%d", i, n), map[string]any{
			"household": h, "relation": relation, "name_zh": p.name(), "name_latin": latins[p.r.IntN(len(latins))] + " " + latins[p.r.IntN(len(latins))],
			"sex": []string{"m", "f"}[p.r.IntN(2)], "birth": born, "pref_lang": []string{"zh", "mn"}[p.r.IntN(2)],
			"resident_id": fmt.Sprintf("999922%s%04d", born[:4]+born[5:7]+born[8:], p.r.IntN(10_000)),
		}))
	}
	for n := 1; n <= herdsEach; n++ {
		out = append(out, add("herd", fmt.Sprintf("HD-%05d-%d", i, n), map[string]any{
			"household": h, "species": []string{"sheep", "goat", "cattle", "horse", "camel"}[p.r.IntN(5)], "age": []string{"adult", "young"}[p.r.IntN(2)],
			"count": int64(1 + p.r.IntN(400)), "method": "own", "counted_at": p.day(2024, 1),
		}))
	}
	if i%2 == 0 {
		return append(out, add("pension", fmt.Sprintf("PN-%05d", i), map[string]any{
			"person": fmt.Sprintf("P-%05d-1", i), "scheme": "resident", "checks": []any{p.day(2023, 1), p.day(2024, 1)}, "method": "visit",
		}))
	}
	return append(out, add("plot", fmt.Sprintf("PL-%05d", i), map[string]any{
		"household": h, "cert_no": fmt.Sprintf("%s-%d-%06d", bannerGacha, 2015+p.r.IntN(10), p.r.IntN(1_000_000)), "regime": []string{"balance", "ban"}[p.r.IntN(2)],
		"area_mu": float64(p.r.IntN(60_000)) / 10, "mu_per_sheep_unit": 20.5, "year": int64(2025),
		"lon": 101 + float64(p.r.IntN(1_000_000))/1e6, "lat": 39 + float64(p.r.IntN(1_000_000))/1e6,
	}))
}

// settle brings households into the hub, as an office imports its lists.
func (p *population) settle(ctx context.Context, a *ingest.Author, households int) error {
	var some []ingest.Fixture
	for i := range households {
		some = append(some, p.household(i)...)
		if len(some) < perFixtures && i < households-1 {
			continue
		}
		if err := a.Import(ctx, "office", some); err != nil {
			return err
		}
		some = some[:0]
	}
	return nil
}
