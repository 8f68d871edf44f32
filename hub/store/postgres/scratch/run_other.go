//go:build !linux

package scratch

import (
	"errors"
	"os/exec"
)

// endWithParent leaves the program as it is: it can run as this user alone.
func endWithParent(_ *exec.Cmd, ids []int) error {
	if ids != nil {
		return errors.New("PostgreSQL does not run as root")
	}
	return nil
}

// run starts the server and waits for it.
func (s *Server) run(started chan<- error) {
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	err := s.cmd.Start()
	started <- err
	if err == nil {
		_ = s.cmd.Wait() // how it ended shows in the log
	}
	close(s.done)
}
