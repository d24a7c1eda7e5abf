package openeaap_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	openeaap "github.com/openeaap/openeaap/sdk/go"
	"github.com/openeaap/openeaap/sdk/go/runtimev1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

func TestWithoutTLSNobodyElseCanReachIt(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	used := launch(t, map[string]string{"OPENEAAP_PLUGIN_LISTEN": "unix:" + filepath.Join(t.TempDir(), "s")}, openeaap.WithTools(echoTool()))
	for _, test := range []struct {
		name, listen, want string
	}{
		{"all addresses", "0.0.0.0:0", "without TLS"},
		{"all addresses of IPv6", "[::]:0", "without TLS"},
		{"no host", ":0", "without TLS"},
		{"an address of a network", "192.0.2.1:0", "without TLS"},
		{"no address", "nonsense", "127.0.0.1:50051 or unix:/path"},
		{"a port that is taken", taken.Addr().String(), "address already in use"},
		{"a socket without a path", "unix:", "path"},
		{"a file that is no socket", "unix:" + file, "no socket"},
		{"a socket that is in use", used.listen, "another process"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := openeaap.Serve(testContext(t), openeaap.WithTools(echoTool()), environ(map[string]string{"OPENEAAP_PLUGIN_LISTEN": test.listen}), openeaap.WithOutput(io.Discard))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v does not say %q", err, test.want)
			}
		})
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "precious" {
		t.Error("the file in the place of the socket was touched")
	}
}

func TestItListensWhereItIsTold(t *testing.T) {
	for _, test := range []struct {
		name      string
		variables map[string]string
		prefix    string
	}{
		{"the option", nil, "127.0.0.1:"},
		{"the environment wins", map[string]string{"OPENEAAP_PLUGIN_LISTEN": "localhost:0"}, "127.0.0.1:"},
		{"a socket", map[string]string{"OPENEAAP_PLUGIN_LISTEN": "unix://" + filepath.Join(t.TempDir(), "s")}, "unix:/"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := launch(t, test.variables, openeaap.WithTools(echoTool()), openeaap.WithListen("127.0.0.1:0"))
			if !strings.HasPrefix(p.listen, test.prefix) || strings.HasSuffix(p.listen, ":0") {
				t.Fatalf("it listens at %s", p.listen)
			}
			p.connect(t, grpc.WithTransportCredentials(insecure.NewCredentials()))
			p.do(t, toolStep("echo", `{"text":"x"}`))
		})
	}
}

func TestASocketIsPrivateAndOneLeftBehindIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	p := serve(t, map[string]string{"OPENEAAP_PLUGIN_LISTEN": "unix:" + path}, openeaap.WithTools(echoTool()))
	p.do(t, toolStep("echo", `{"text":"x"}`))
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
	p.stop()
	if err := p.waitEnd(t); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Error("the socket was left behind")
	}
}

func TestTLSAsTheEnvironmentSays(t *testing.T) {
	authority := newAuthority(t)
	stranger := newAuthority(t)
	cert, key := authority.issue(t, "server")
	client := authority.pair(t, "client")
	strange := stranger.pair(t, "client")
	variables := map[string]string{"OPENEAAP_PLUGIN_LISTEN": "0.0.0.0:0", "OPENEAAP_PLUGIN_TLS_CERT": cert, "OPENEAAP_PLUGIN_TLS_KEY": key}
	mutual := withVariable(variables, "OPENEAAP_PLUGIN_TLS_CLIENT_CA", authority.file)
	for _, test := range []struct {
		name      string
		variables map[string]string
		client    credentials.TransportCredentials
		want      codes.Code
	}{
		{"TLS", variables, credentials.NewTLS(&tls.Config{RootCAs: authority.pool}), codes.OK},
		{"plain text to TLS", variables, insecure.NewCredentials(), codes.Unavailable},
		{"another authority", variables, credentials.NewTLS(&tls.Config{RootCAs: stranger.pool}), codes.Unavailable},
		{"mutual TLS", mutual, credentials.NewTLS(&tls.Config{RootCAs: authority.pool, Certificates: []tls.Certificate{client}}), codes.OK},
		{"mutual TLS without a certificate", mutual, credentials.NewTLS(&tls.Config{RootCAs: authority.pool}), codes.Unavailable},
		{"mutual TLS with a stranger's", mutual, credentials.NewTLS(&tls.Config{RootCAs: authority.pool, Certificates: []tls.Certificate{strange}}), codes.Unavailable},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := launch(t, test.variables, openeaap.WithTools(echoTool()))
			_, port, err := net.SplitHostPort(p.listen)
			if err != nil {
				t.Fatal(err)
			}
			p.listen = net.JoinHostPort("127.0.0.1", port)
			p.connect(t, grpc.WithTransportCredentials(test.client))
			_, err = p.HealthCheck(testContext(t), &runtimev1.HealthCheckRequest{})
			if status.Code(err) != test.want {
				t.Error(err)
			}
		})
	}
}

func TestHalfOfTLSIsRefused(t *testing.T) {
	authority := newAuthority(t)
	cert, key := authority.issue(t, "server")
	_, otherKey := authority.issue(t, "other")
	for _, test := range []struct {
		name, cert, key, ca, want string
	}{
		{"no key", cert, "", "", "OPENEAAP_PLUGIN_TLS_KEY is not set"},
		{"no certificate", "", key, "", "OPENEAAP_PLUGIN_TLS_CERT is not set"},
		{"only the clients' authority", "", "", authority.file, "OPENEAAP_PLUGIN_TLS_CERT is not set"},
		{"another's key", cert, otherKey, "", "does not match"},
		{"no such file", cert + "x", key, "", "no such file"},
		{"no such authority", cert, key, authority.file + "x", "OPENEAAP_PLUGIN_TLS_CLIENT_CA"},
		{"an authority that is none", cert, key, key, "no certificate in PEM"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := openeaap.Serve(testContext(t), openeaap.WithTools(echoTool()), openeaap.WithOutput(io.Discard), environ(map[string]string{
				"OPENEAAP_PLUGIN_LISTEN": "127.0.0.1:0", "OPENEAAP_PLUGIN_TLS_CERT": test.cert, "OPENEAAP_PLUGIN_TLS_KEY": test.key, "OPENEAAP_PLUGIN_TLS_CLIENT_CA": test.ca,
			}))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v does not say %q", err, test.want)
			}
		})
	}
}

type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
	pool *x509.CertPool
	dir  string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{cert: cert, key: key, pool: x509.NewCertPool(), dir: t.TempDir()}
	a.pool.AddCert(cert)
	a.file = writePEM(t, filepath.Join(a.dir, "ca.pem"), "CERTIFICATE", der)
	return a
}

// issue writes a certificate for this machine and its key.
func (a *authority) issue(t *testing.T, name string) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return writePEM(t, filepath.Join(a.dir, name+".pem"), "CERTIFICATE", der), writePEM(t, filepath.Join(a.dir, name+"-key.pem"), "EC PRIVATE KEY", keyDER)
}

func (a *authority) pair(t *testing.T, name string) tls.Certificate {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(a.issue(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

func writePEM(t *testing.T, path, kind string, der []byte) string {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
