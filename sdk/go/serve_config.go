package openeaap

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"
)

// serveConfig is everything that serving needs, complete and checked.
type serveConfig struct {
	tools        []*Tool
	agents       []*Agent
	name         string
	version      string
	listen       string
	token        string
	tls          *tls.Config
	maxSteps     int
	log          *slog.Logger
	output       io.Writer
	health       func(ctx context.Context) error
	drainTimeout time.Duration
}

// defaultListen is the protocol's.
const defaultListen = "127.0.0.1:50051"

// newServeConfig is the one place that puts the environment, the options and the defaults together.
func newServeConfig(opts []ServeOption) (serveConfig, error) {
	options := serveOptions{maxSteps: defaultConcurrentSteps, environ: os.Getenv, output: os.Stdout}
	for _, opt := range opts {
		opt.applyServe(&options)
	}
	if options.log == nil {
		options.log = slog.New(slog.NewJSONHandler(os.Stderr, nil))
	}
	env := options.environ
	config := serveConfig{
		tools:        options.tools,
		agents:       options.agents,
		name:         cmp.Or(env("OPENEAAP_PLUGIN_NAME"), options.name, defaultName()),
		version:      cmp.Or(options.version, "0.0.0"),
		listen:       cmp.Or(env("OPENEAAP_PLUGIN_LISTEN"), options.listen, defaultListen),
		token:        env("OPENEAAP_PLUGIN_TOKEN"),
		maxSteps:     options.maxSteps,
		log:          options.log,
		output:       options.output,
		health:       options.health,
		drainTimeout: drainTimeout,
	}
	var tlsErr error
	config.tls, tlsErr = loadTLS(env)
	return config, errors.Join(checkOffer(config), tlsErr)
}

// checkOffer refuses at the start what the control plane would refuse at the handshake.
func checkOffer(config serveConfig) error {
	var errs []error
	if len(config.tools) == 0 && len(config.agents) == 0 {
		errs = append(errs, errors.New("nothing to offer: use WithTools or WithAgents"))
	}
	if config.maxSteps < 1 || config.maxSteps > 1_000_000 {
		errs = append(errs, fmt.Errorf("WithMaxConcurrentSteps(%d): must be from 1 to 1000000", config.maxSteps))
	}
	seen := map[string]bool{}
	for _, tool := range config.tools {
		if tool == nil {
			errs = append(errs, errors.New("a tool is nil"))
			continue
		}
		if seen[tool.Name()] {
			errs = append(errs, fmt.Errorf("two tools have the name %q", tool.Name()))
		}
		seen[tool.Name()] = true
		errs = append(errs, tool.err)
	}
	hosted := map[string]bool{}
	for _, agent := range config.agents {
		if agent == nil {
			errs = append(errs, errors.New("an agent is nil"))
			continue
		}
		if hosted[agent.Name()] {
			errs = append(errs, fmt.Errorf("two agents have the name %q", agent.Name()))
		}
		hosted[agent.Name()] = true
		errs = append(errs, agent.err)
	}
	return errors.Join(errs...)
}

// loadTLS reads the files that the environment names; nil: plain text.
func loadTLS(env func(string) string) (*tls.Config, error) {
	certFile, keyFile, caFile := env("OPENEAAP_PLUGIN_TLS_CERT"), env("OPENEAAP_PLUGIN_TLS_KEY"), env("OPENEAAP_PLUGIN_TLS_CLIENT_CA")
	switch {
	case certFile == "" && keyFile == "" && caFile == "":
		return nil, nil
	case certFile == "":
		return nil, errors.New("OPENEAAP_PLUGIN_TLS_CERT is not set, though another variable of TLS is")
	case keyFile == "":
		return nil, errors.New("OPENEAAP_PLUGIN_TLS_KEY is not set, though OPENEAAP_PLUGIN_TLS_CERT is")
	}
	certificate, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("OPENEAAP_PLUGIN_TLS_CERT and OPENEAAP_PLUGIN_TLS_KEY: %w", err)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}}
	if caFile == "" {
		return config, nil
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("OPENEAAP_PLUGIN_TLS_CLIENT_CA: %w", err)
	}
	config.ClientCAs = x509.NewCertPool()
	if !config.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("OPENEAAP_PLUGIN_TLS_CLIENT_CA: %s holds no certificate in PEM", caFile)
	}
	config.ClientAuth = tls.RequireAndVerifyClientCert
	return config, nil
}
