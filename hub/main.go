// Command hub is the reconciling side.
//
// `hub serve` runs the NATS server, the database, the devices' enrolment and
// the operators' pages in one process. All other commands ask that process
// when it runs, and open the folder themselves when it does not.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // offices' machines may have no zone database where Go looks

	"github.com/spf13/cobra"

	"otor/internal/cli"
	"otor/internal/startup"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	code := startup.Under(ctx, "otor-hub", func(ctx context.Context) int {
		return run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	})
	stop()
	os.Exit(code)
}

// run follows one command line and returns the exit code.
func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	p := &cli.Program{
		Name: "hub", Short: "Otor in the office: receives, accounts for, reconciles", Zone: "Asia/Shanghai",
		Explain: explain,
		Commands: []func(*cli.App) *cobra.Command{
			newServe, newDevice, newStatus, newEntries, newRecords, newFind, newGaps, newItems, newAside, newPack, newPhotos, newRoster, newStatement, newExport, newUnattributed, newFindings, newLedger, newOperator, newBackup, newRestore, newNatsConfig, newMigrate, newInstall, newBundle, newDemo, newBench,
		},
	}
	return p.Run(ctx, args, in, out, errOut)
}
