package narrow_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"otor/internal/e2e"
	"otor/internal/e2e/narrow"
)

// TestLine starts this test again in the far namespace, where TestInside
// measures the line.
func TestLine(t *testing.T) {
	var out output
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestInside$", "-test.v")
	cmd.Stdout, cmd.Stderr = &out, &out
	err := narrow.Run(t.Context(), "reno", cmd)
	e2e.Need(t, "root", !errors.Is(err, narrow.ErrCannot), "network namespaces: "+errorText(err))
	if err != nil {
		t.Errorf("%v\n%s", err, out.text)
	}
	if list, err := os.ReadDir("/run/netns"); err == nil {
		for _, e := range list {
			if e.Name() == "otor-"+strconv.Itoa(os.Getpid())+"-far" {
				t.Error("the namespaces are still there")
			}
		}
	}
}

// TestInside is run by TestLine.
func TestInside(t *testing.T) {
	if !narrow.Joined() {
		t.Skip("TestLine runs this one, in a namespace")
	}
	const sent = 20_000
	l := narrow.Line{Rate: 400_000, Delay: 40 * time.Millisecond, Queue: 1 << 20}
	took, up := carry(t, l, sent)
	// It cannot be faster than the line, whatever else the machine does: the
	// connection's two trips and the way there, and the bytes' time.
	if least := 3*l.Delay + sent*8*time.Second/time.Duration(l.Rate); took < least {
		t.Errorf("took %s, and the line alone takes %s", took, least)
	}
	if up.Bytes < sent || up.Lost != 0 || up.Overrun != 0 {
		t.Errorf("%+v", up)
	}
	l.Loss, l.Seed = 0.2, 3
	if _, up = carry(t, l, sent); up.Lost == 0 || up.Bytes < sent+up.LostBytes/2 {
		t.Errorf("of a line that loses a fifth: %+v", up)
	}
	l.Loss, l.Queue = 0, 3000
	if _, up = carry(t, l, sent); up.Overrun == 0 {
		t.Errorf("of a short queue: %+v", up)
	}
	l.Loss, l.Queue = 1, 1<<20
	n := join(t, l)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if c, err := n.DialContext(ctx, "tcp", net.JoinHostPort(narrow.FarAddr, "9")); err == nil {
		_ = c.Close()
		t.Error("connected over a line that loses everything")
	}
}

func join(t *testing.T, l narrow.Line) *narrow.Net {
	t.Helper()
	n, err := narrow.Join(l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n
}

// carry sends so many bytes up the line and waits for an answer.
func carry(t *testing.T, l narrow.Line, size int) (time.Duration, narrow.Counts) {
	t.Helper()
	n, err := narrow.Join(l)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", net.JoinHostPort(narrow.FarAddr, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close() //nolint:errcheck // nothing is lost with it
	go func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close() //nolint:errcheck // the other side has its answer
		if _, err := io.CopyN(io.Discard, c, int64(size)); err == nil {
			_, _ = c.Write([]byte{1})
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), e2e.Patience)
	defer cancel()
	began := time.Now()
	c, err := n.DialContext(ctx, "tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // all was said
	if _, err := c.Write(make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	up, _ := n.Counts()
	return took, up
}

type output struct{ text []byte }

func (o *output) Write(b []byte) (int, error) {
	o.text = append(o.text, b...)
	return len(b), nil
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
