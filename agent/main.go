// Command agent is the field device's program.
//
// It keeps what the team captures in a database on the device, shows the
// team's page on loopback, and carries everything to the hub whenever a link
// appears. All commands work while another agent runs on the same folder: they
// ask that one. When none runs they open the folder themselves.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	_ "time/tzdata" // phones and Windows have no zone database where Go looks

	"github.com/spf13/cobra"

	"otor/internal/cli"
	"otor/internal/startup"
)

// memoryLimit is a soft limit that keeps the collector busy before a small
// phone's system ends the program: with it an agent with 100,000 entries stays below
// 64 MiB. GOMEMLIMIT overrides it.
const memoryLimit = 56 << 20

func main() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	code := startup.Under(ctx, "otor-agent", func(ctx context.Context) int {
		return run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	})
	stop()
	os.Exit(code)
}

// run follows one command line and returns the exit code.
func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	p := &cli.Program{
		Name: "agent", Short: "Otor on the device: captures, keeps, and carries to the hub", Zone: "Local",
		Explain: explain,
		Commands: []func(*cli.App) *cobra.Command{
			newEnrol, newHub, newRun, newPut, newStatus, newLog, newShow, newFind, newDue, newDone, newPhoto, newSync, newDoctor, newInstall, newBundle, newBench,
		},
	}
	return p.Run(ctx, args, in, out, errOut)
}
