package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/spf13/cobra"
)

// KeepsRunning marks a command that stays until it is stopped: it logs more, and can be
// looked into while it runs.
func (a *App) KeepsRunning(cmd *cobra.Command) *cobra.Command {
	if cmd.Annotations == nil {
		cmd.Annotations = make(map[string]string)
	}
	cmd.Annotations[keepsRunning] = "yes"
	var at string
	cmd.Flags().StringVar(&at, "pprof", "", "serve profiles of the program for go tool pprof at this `host:port` of this machine (default: none)")
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if at == "" {
			return run(cmd, args)
		}
		stop, err := a.serveProfiles(cmd.Context(), at)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, stop()) }()
		return run(cmd, args)
	}
	return cmd
}

// profilesWait bounds how long a request for profiles may take to come in.
const profilesWait = 10 * time.Second

// serveProfiles serves the program's profiles to this machine alone, until stop.
func (a *App) serveProfiles(ctx context.Context, at string) (stop func() error, err error) {
	if err := CheckListen("pprof", at); err != nil {
		return nil, err
	}
	host, _, err := net.SplitHostPort(at)
	if err != nil || host != "localhost" && !net.ParseIP(host).IsLoopback() {
		return nil, Misuse("--pprof", "profiles are for this machine alone, and %q is not it", "write 127.0.0.1:6060", clip(host))
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", at)
	if err != nil {
		return nil, Say(Usage, "no_port", "--pprof", "name another port, or 0 for a free one", fmt.Errorf("profiles cannot be served: %w", err))
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	s := &http.Server{Handler: mux, ReadHeaderTimeout: profilesWait}
	a.Log.Info("profiles are served", "url", "http://"+l.Addr().String()+"/debug/pprof/")
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	return func() error {
		err := s.Close()
		if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		return err
	}, nil
}
