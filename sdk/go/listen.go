package openeaap

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
)

// listen opens the address and gives it back as it has become, with the port that was free. Without
// TLS it refuses whatever another machine could reach.
func listen(address string, encrypted bool) (net.Listener, string, error) {
	if path, isUnix := strings.CutPrefix(address, "unix:"); isUnix {
		// unix:///path is the same with an empty authority.
		if rest, hasAuthority := strings.CutPrefix(path, "//"); hasAuthority {
			path = rest
		}
		return listenUnix(path)
	}
	tcp, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, "", fmt.Errorf("cannot listen at %q: %w; write it like 127.0.0.1:50051 or unix:/path", address, err)
	}
	if !encrypted && !tcp.IP.IsLoopback() {
		return nil, "", fmt.Errorf("refusing to listen at %q without TLS: others could read secrets; set OPENEAAP_PLUGIN_TLS_CERT and OPENEAAP_PLUGIN_TLS_KEY, or listen at 127.0.0.1 or unix:/path", address)
	}
	listener, err := net.ListenTCP("tcp", tcp)
	if err != nil {
		return nil, "", fmt.Errorf("cannot listen at %q: %w", address, err)
	}
	return listener, listener.Addr().String(), nil
}

// listenUnix makes a socket that only this user may open. One that a dead process has left behind is
// taken away; anything else in its place is not touched.
func listenUnix(path string) (net.Listener, string, error) {
	if path == "" {
		return nil, "", errors.New("cannot listen at \"unix:\": the path of the socket is missing")
	}
	if err := removeStale(path); err != nil {
		return nil, "", err
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, "", fmt.Errorf("cannot listen at unix:%s: %w", path, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, "", errors.Join(err, listener.Close())
	}
	return listener, "unix:" + path, nil
}

func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot listen at unix:%s: %w", path, err)
	}
	if info.Mode()&os.ModeSocket == 0 {
		return fmt.Errorf("cannot listen at unix:%s: a file that is no socket is there", path)
	}
	connection, err := net.Dial("unix", path)
	if err == nil {
		return errors.Join(fmt.Errorf("cannot listen at unix:%s: another process listens there", path), connection.Close())
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("cannot listen at unix:%s: %w", path, err)
	}
	return os.Remove(path)
}
