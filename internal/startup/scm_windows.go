package startup

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/mgr"
)

const onWindows = true

// Under runs a program's main part, obeying whatever started it: when that was
// the service control, run's context ends when the service is to stop. name is
// the service's.
func Under(ctx context.Context, name string, run func(context.Context) int) int {
	if is, err := svc.IsWindowsService(); err != nil || !is {
		return run(ctx)
	}
	h := &handler{ctx: ctx, run: run}
	if err := svc.Run(name, h); err != nil && h.code == 0 {
		return 1
	}
	return h.code
}

// handler answers the service control. One goroutine uses it.
type handler struct {
	ctx  context.Context //nolint:containedctx // svc.Handler has no place for it
	run  func(context.Context) int
	code int
}

// Execute implements svc.Handler.
func (h *handler) Execute(_ []string, asked <-chan svc.ChangeRequest, state chan<- svc.Status) (specific bool, code uint32) {
	const accepts = svc.AcceptStop | svc.AcceptShutdown
	ctx, stop := context.WithCancel(h.ctx)
	defer stop()
	ended := make(chan int, 1)
	state <- svc.Status{State: svc.StartPending}
	go func() { ended <- h.run(ctx) }()
	state <- svc.Status{State: svc.Running, Accepts: accepts}
	stopped := false
	for {
		select {
		case h.code = <-ended:
			state <- svc.Status{State: svc.StopPending}
			end := endOf(h.code, stopped)
			return end != 0, uint32(end) //nolint:gosec // an exit code
		case c := <-asked:
			switch c.Cmd {
			case svc.Interrogate:
				state <- c.CurrentStatus
			case svc.Stop, svc.Shutdown:
				state <- svc.Status{State: svc.StopPending, WaitHint: 60_000}
				stopped = true
				stop()
			}
		}
	}
}

func (p Plan) installWindows(d *Done) error {
	m, err := mgr.Connect()
	if err != nil {
		return fmt.Errorf("reach the service control: %w; run this as administrator", err)
	}
	defer m.Disconnect() //nolint:errcheck // nothing depends on it
	s, err := m.CreateService(p.Name(), p.Exe, mgr.Config{
		DisplayName: "Otor " + p.Program, Description: "Otor " + p.Program, StartType: mgr.StartAutomatic, DelayedAutoStart: true, ServiceStartName: p.As,
	}, append([]string{p.Verb}, p.Args...)...)
	if err != nil {
		return err
	}
	defer s.Close() //nolint:errcheck // nothing was written through it
	again := mgr.RecoveryAction{Type: mgr.ServiceRestart, Delay: 5 * time.Second}
	if err := s.SetRecoveryActions([]mgr.RecoveryAction{again, again, {Type: mgr.ServiceRestart, Delay: time.Minute}}, 86_400); err != nil {
		return errors.Join(err, s.Delete())
	}
	// Without this it is started again after a crash alone: an end that the program
	// reports itself, whatever its code, would be its last.
	if err := s.SetRecoveryActionsOnNonCrashFailures(true); err != nil {
		return errors.Join(err, s.Delete())
	}
	d.Next = append(d.Next, "see how it is: sc.exe query "+p.Name())
	return s.Start()
}

func (p Plan) removeWindows() error {
	m, err := mgr.Connect()
	if err != nil {
		return fmt.Errorf("reach the service control: %w; run this as administrator", err)
	}
	defer m.Disconnect() //nolint:errcheck // nothing depends on it
	s, err := m.OpenService(p.Name())
	if err != nil {
		return err
	}
	defer s.Close()            //nolint:errcheck // nothing was written through it
	_, _ = s.Control(svc.Stop) // it may not run
	return s.Delete()
}
