// Package telemetry tells a monitoring system how a program is, in the text format of
// Prometheus.
//
// Most of what there is to tell is read when somebody asks: a program gives a table of
// its metrics and a function that reads all of them at once. What passes by and leaves
// no trace, such as how long an act took, is counted as it happens. Nothing personal is
// told, and no label has values that come from outside: a number of devices, never their
// names.
//
//   - [Meter] holds a program's metrics; [Meter.Handler] answers who scrapes it.
//   - [Metric] is a line of the table, [Put] how a reading gives it its value.
//   - [Meter.Counter] and [Meter.Seconds] count what passes by.
package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metric is what a program can tell at any moment.
type Metric struct {
	Name    string // whole, such as otor_hub_waiting_entries
	Help    string
	Counter bool // it only rises while the program runs; else it goes up and down
	Labels  []string
}

// Put gives a metric its value, with the values of its labels in their order.
type Put func(name string, value float64, labels ...string)

// Read reads all metrics of a table. An error says that not all of them could be read.
type Read func(ctx context.Context, put Put) error

// Bounds of reading: it costs the program's own database some work, so that whoever
// asks again at once is told the same.
const (
	fresh  = 5 * time.Second
	within = 20 * time.Second
)

// Meter holds a program's metrics. It is safe for concurrent use.
type Meter struct {
	prefix string
	reg    *prometheus.Registry
	log    *slog.Logger
}

// New returns a meter with what every program tells: its version, its process, and
// whether the last reading was whole. prefix begins every name, such as otor_hub.
func New(prefix, version string, log *slog.Logger) *Meter {
	m := &Meter{prefix: prefix, reg: prometheus.NewRegistry(), log: log}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: prefix + "_build_info", Help: "1, with the program's version.", ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	m.reg.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Table adds metrics that are read when somebody asks. It may be called once.
func (m *Meter) Table(metrics []Metric, read Read) {
	t := &table{read: read, log: m.log, descs: make(map[string]line, len(metrics))}
	for _, x := range metrics {
		kind := prometheus.GaugeValue
		if x.Counter {
			kind = prometheus.CounterValue
		}
		t.descs[x.Name] = line{prometheus.NewDesc(x.Name, x.Help, x.Labels, nil), kind}
	}
	t.whole = prometheus.NewDesc(m.prefix+"_reading_ok", "1 when all that is told could be read, else 0.", nil, nil)
	m.reg.MustRegister(t)
}

// Counter counts what passes by.
func (m *Meter) Counter(name, help string) func(n float64) {
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	m.reg.MustRegister(c)
	return c.Add
}

// Seconds counts acts by how long they took; bounds are those of its buckets, rising.
func (m *Meter) Seconds(name, help string, bounds ...float64) func(time.Duration) {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: bounds})
	m.reg.MustRegister(h)
	return func(d time.Duration) { h.Observe(d.Seconds()) }
}

// Handler answers who scrapes.
func (m *Meter) Handler() http.Handler {
	return promhttp.HandlerFor(m.reg, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: 4, Timeout: 2 * within, ErrorLog: logged{m.log},
	})
}

// logged takes what the library has to say into the program's log.
type logged struct{ log *slog.Logger }

func (l logged) Println(v ...any) { l.log.Warn("metrics: " + fmt.Sprint(v...)) }

type line struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
}

// table is metrics that are read together.
type table struct {
	descs map[string]line
	whole *prometheus.Desc
	read  Read
	log   *slog.Logger

	mu   sync.Mutex // guards what follows, and lets one reading run at a time
	at   time.Time
	last []prometheus.Metric
}

// Describe implements prometheus.Collector.
func (t *table) Describe(to chan<- *prometheus.Desc) {
	for _, l := range t.descs {
		to <- l.desc
	}
	to <- t.whole
}

// Collect implements prometheus.Collector.
func (t *table) Collect(to chan<- prometheus.Metric) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.last == nil || time.Since(t.at) >= fresh {
		t.last = t.look()
		t.at = time.Now()
	}
	for _, x := range t.last {
		to <- x
	}
}

// look reads. What was read before an error is told all the same.
func (t *table) look() (out []prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	ok := 1.0
	err := t.read(ctx, func(name string, value float64, labels ...string) {
		l, known := t.descs[name]
		if !known {
			l.desc = prometheus.NewInvalidDesc(fmt.Errorf("metric %s is in no table", name))
		}
		x, err := prometheus.NewConstMetric(l.desc, max(l.kind, prometheus.CounterValue), value, labels...)
		if err != nil {
			x = prometheus.NewInvalidMetric(l.desc, err)
		}
		out = append(out, x)
	})
	if err != nil {
		ok = 0
		t.log.Warn("not all metrics could be read", "err", err)
	}
	return append(out, prometheus.MustNewConstMetric(t.whole, prometheus.GaugeValue, ok))
}
