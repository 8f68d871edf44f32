package web_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"otor/internal/webui"
)

func newServer(t *testing.T, h http.Handler) string {
	t.Helper()
	url, _ := startServer(t, h)
	return url
}

// startServer serves as the program does; stop ends it, streams included.
func startServer(t *testing.T, h http.Handler) (url string, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	srv := httptest.NewUnstartedServer(nil)
	srv.Config = webui.NewServer(ctx, h, slog.New(slog.DiscardHandler))
	srv.Start()
	stop = func() {
		cancel()
		srv.CloseClientConnections()
		srv.Close()
	}
	t.Cleanup(stop)
	return srv.URL, stop
}
