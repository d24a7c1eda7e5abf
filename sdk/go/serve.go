package openeaap

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/openeaap/openeaap/sdk/go/runtimev1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
)

// Serve offers tools and agents to a platform until ctx is done or the process is told to end by
// SIGTERM or Ctrl-C. Then it takes no new steps, lets those under way finish for at most 10 s, and
// returns nil; a second signal ends the process at once.
//
// How it listens is told by the environment (docs/plugin-protocol.md of the platform); options are
// for what the environment leaves open. When it listens it prints one line of JSON to standard
// output; the program should print nothing else there.
func Serve(ctx context.Context, opts ...ServeOption) error {
	config, err := newServeConfig(opts)
	if err != nil {
		return err
	}
	listener, address, err := listen(config.listen, config.tls != nil)
	if err != nil {
		return err
	}
	ctx, restore := signal.NotifyContext(ctx, syscall.SIGTERM, os.Interrupt)
	defer restore()
	service := newRuntimeService(config)
	server, probes := newServer(config, service)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	if err := announce(config.output, address); err != nil {
		server.Stop()
		return errors.Join(fmt.Errorf("standard output cannot be written: %w", err), <-ended)
	}
	config.log.Info("serving", "listen", address, "tools", len(config.tools), "agents", len(config.agents))
	select {
	case err := <-ended:
		return fmt.Errorf("serving at %s: %w", address, err)
	case <-ctx.Done():
	}
	restore()
	config.log.Info("stopping", "steps", service.underWay.Load())
	service.draining.Store(true)
	probes.Shutdown()
	drain(server, config.drainTimeout)
	return <-ended
}

// drain ends the server when all steps have, or when the time is up. A step that does not heed its
// cancelled context is left behind: the process is about to end.
func drain(server *grpc.Server, timeout time.Duration) {
	finished := make(chan struct{})
	go func() {
		server.GracefulStop()
		close(finished)
	}()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-finished:
	case <-timer.C:
		server.Stop()
	}
}

func newServer(config serveConfig, service *runtimeService) (*grpc.Server, *health.Server) {
	options := []grpc.ServerOption{
		grpc.MaxRecvMsgSize(maxMessageBytes),
		grpc.MaxSendMsgSize(maxMessageBytes),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: leastPingInterval, PermitWithoutStream: true}),
	}
	if config.tls != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(config.tls)))
	}
	if config.token != "" {
		check := newTokenCheck(config.token)
		options = append(options, grpc.UnaryInterceptor(check.unary), grpc.StreamInterceptor(check.stream))
	}
	server := grpc.NewServer(options...)
	probes := health.NewServer()
	runtimev1.RegisterRuntimeServiceServer(server, service)
	grpc_health_v1.RegisterHealthServer(server, probes)
	return server, probes
}

// announce tells whoever has started the program where it listens.
func announce(output io.Writer, address string) error {
	line, err := json.Marshal(struct {
		Plugin int    `json:"openeaap_plugin"`
		Listen string `json:"listen"`
	}{Plugin: 1, Listen: address})
	if err != nil {
		return err
	}
	_, err = output.Write(append(line, '\n'))
	return err
}

// ServeOption sets something of a plugin.
type ServeOption interface{ applyServe(*serveOptions) }

type serveOption func(*serveOptions)

func (o serveOption) applyServe(s *serveOptions) { o(s) }

type serveOptions struct {
	tools    []*Tool
	agents   []*Agent
	name     string
	version  string
	listen   string
	maxSteps int
	log      *slog.Logger
	output   io.Writer
	environ  func(name string) string
	health   func(ctx context.Context) error
}

// WithTools offers tools.
func WithTools(tools ...*Tool) ServeOption {
	return serveOption(func(s *serveOptions) { s.tools = append(s.tools, tools...) })
}

// WithAgents hosts agents.
func WithAgents(agents ...*Agent) ServeOption {
	return serveOption(func(s *serveOptions) { s.agents = append(s.agents, agents...) })
}

// WithName is the plugin's own name; OPENEAAP_PLUGIN_NAME wins. Without it: that of the program.
func WithName(name string) ServeOption {
	return serveOption(func(s *serveOptions) { s.name = name })
}

func (v VersionOption) applyServe(s *serveOptions) { s.version = string(v) }

// WithListen is where to listen, e.g. "127.0.0.1:50051" (the default), "unix:/run/tools.sock";
// OPENEAAP_PLUGIN_LISTEN wins.
func WithListen(address string) ServeOption {
	return serveOption(func(s *serveOptions) { s.listen = address })
}

// WithMaxConcurrentSteps is how many steps may be under way at once: 256 without it. More wait at
// the platform.
func WithMaxConcurrentSteps(steps int) ServeOption {
	return serveOption(func(s *serveOptions) { s.maxSteps = steps })
}

// WithHealthCheck is asked every few seconds whether steps can be executed now. An error means no;
// the message of a [StepError] is shown to operators, other errors are only logged.
func WithHealthCheck(check func(ctx context.Context) error) ServeOption {
	return serveOption(func(s *serveOptions) { s.health = check })
}

// WithLogger takes the place of JSON lines on standard error.
func WithLogger(log *slog.Logger) ServeOption {
	return serveOption(func(s *serveOptions) { s.log = log })
}

// WithEnviron takes the place of os.Getenv.
func WithEnviron(environ func(name string) string) ServeOption {
	return serveOption(func(s *serveOptions) { s.environ = environ })
}

// WithOutput takes the place of standard output for the line that says where the plugin listens.
func WithOutput(output io.Writer) ServeOption {
	return serveOption(func(s *serveOptions) { s.output = output })
}

// defaultName is the name of the program's file.
func defaultName() string {
	path, err := os.Executable()
	if err != nil {
		return "go-plugin"
	}
	return cmp.Or(filepath.Base(path), "go-plugin")
}
