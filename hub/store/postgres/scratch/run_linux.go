package scratch

import (
	"os/exec"
	"runtime"
	"syscall"
)

// endWithParent has the program end when this process does, and run as somebody.
func endWithParent(cmd *exec.Cmd, ids []int) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGINT, Setpgid: true}
	if ids != nil {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(ids[0]), Gid: uint32(ids[1])} //nolint:gosec // ids are such
	}
	return nil
}

// run starts the server and waits for it. The signal of a parent's death comes
// when the thread that started the child ends, so this one stays.
func (s *Server) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	err := s.cmd.Start()
	started <- err
	if err == nil {
		_ = s.cmd.Wait() // how it ended shows in the log
	}
	close(s.done)
}
