package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"

	"otor/agent/device"
	"otor/internal/e2e/narrow"
	"otor/internal/gauge"
)

// P5's backlog, its line, and how TCP takes losses: no better than any phone does.
const (
	slowEntries = 1000
	congestion  = "reno"
	roundTrips  = 7 // TCP, NATS's greeting, TLS, login, hello, and a frame's acknowledgement and receipt
)

var slowest = narrow.Line{Rate: 64_000, Delay: 300 * time.Millisecond, Loss: 0.05, Queue: 64 << 10}

// slow measures P5. Its first process makes the namespaces and starts itself
// again in the far one, where the hub then is.
func (b *bench) slow(ctx context.Context) (gauge.Figure, error) {
	if !narrow.Joined() {
		return gauge.Figure{}, b.slowElsewhere(ctx)
	}
	var took, bare, wire, again, lost []float64
	for i := range b.SlowRuns {
		r, err := b.slowOnce(ctx, uint64(i))
		if err != nil {
			return gauge.Figure{}, fmt.Errorf("run %d: %w", i+1, err)
		}
		took = append(took, r.took.Seconds())
		bare = append(bare, r.bare().Seconds())
		wire = append(wire, float64(r.sent)/1000)
		again = append(again, (float64(r.up.Bytes)-float64(r.sent))/1000)
		lost = append(lost, float64(r.up.Lost+r.down.Lost))
		if b.Log.Enabled(ctx, 0) {
			b.Log.InfoContext(ctx, "run", "n", i+1, "took", r.took, "bare", r.bare(), "ratio", r.took.Seconds()/r.bare().Seconds(), "up", r.up, "down", r.down)
		}
	}
	f := gauge.New("P5", fmt.Sprintf("drain of %d entries over %d kbit/s, %d ms, %g %% loss each way, from dialling to the last receipt",
		slowEntries, slowest.Rate/1000, 2*slowest.Delay.Milliseconds(), 100*slowest.Loss), "s", took)
	f.Against = []gauge.Against{gauge.AtMost(fmt.Sprintf("wire bytes / link rate + %d round trips", roundTrips), 1.3, took, bare)}
	f.Parts = []gauge.Part{
		{What: "kB that the device sent, TLS, TCP and IP included, each once", Value: gauge.Median(wire)},
		{What: "kB sent again, and acknowledgements of TCP's own", Value: gauge.Median(again)},
		{What: "packets lost, both ways", Value: gauge.Median(lost)},
	}
	f.Notes = []string{"what TCP sends again is not in the wire bytes; " + congestion + " at both ends; losses differ from run to run"}
	return f, nil
}

// errElsewhere says that another process has measured and printed.
var errElsewhere = errors.New("measured in another process")

func (b *bench) slowElsewhere(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	args := []string{"bench", "--only", "P5", "--dir", b.Dir, "--slow-runs", strconv.Itoa(b.SlowRuns)}
	if b.JSON {
		args = append(args, "--json")
	}
	if b.profiles.Wanted() {
		args = append(args, "--profile", b.profiles.File("P5"))
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Stdout, cmd.Stderr = b.Out, os.Stderr
	if err := narrow.Run(ctx, congestion, cmd); err != nil {
		return err
	}
	return errElsewhere
}

// slowRun is one run of P5.
type slowRun struct {
	took     time.Duration
	sent     uint64 // bytes, see headers
	up, down narrow.Counts
}

// bare is the least that it could take.
func (r slowRun) bare() time.Duration {
	return time.Duration(float64(r.sent*8)/float64(slowest.Rate)*float64(time.Second)) + roundTrips*2*slowest.Delay
}

// headers adds to the bytes that the device gave to TCP what TCP and IP put
// around them, 52 bytes a full segment of 1,448.
func headers(out uint64) uint64 { return out + (out+1447)/1448*52 }

func (b *bench) slowOnce(ctx context.Context, n uint64) (r slowRun, err error) {
	dir, drop, err := b.folder("slow")
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, drop()) }()
	l := slowest
	l.Seed = n
	line, err := narrow.Join(l)
	if err != nil {
		return r, err
	}
	defer line.Close()
	p, err := openPairOn(ctx, narrow.FarAddr, dir, b.pack, b.Log, func(c *device.Config) { c.Dialer = line })
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	if err := p.fill(ctx, b.forms, 5, slowEntries); err != nil {
		return r, err
	}
	measure := func() error {
		up, down := line.Counts()
		before := p.dev.Link().Meter()
		if r.took, err = p.drain(ctx, slowEntries); err != nil {
			return err
		}
		r.sent = headers(p.dev.Link().Meter().Out - before.Out)
		upNow, downNow := line.Counts()
		r.up, r.down = upNow.Sub(up), downNow.Sub(down)
		return nil
	}
	if n == 0 {
		return r, b.profiles.Run("P5", measure)
	}
	return r, measure()
}
