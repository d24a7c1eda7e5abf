package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// connection is which server, with which key.
type connection struct {
	// base ends in /.
	base   *url.URL
	apiKey string
}

// loadConnection puts together what was said, in the order of the command line: options, then
// environment, then the connection.json of the state folder. The file's key goes to the file's
// server alone, and a key of yours goes to a server that only the file names if that server is on
// this machine: a folder that somebody else wrote must not collect keys.
func loadConnection(c config) (connection, error) {
	file := filepath.Join(firstOf(c.dataDir, c.environ("OPENEAAP_DATA_DIR"), ".openeaap"), "connection.json")
	key := firstOf(c.apiKey, c.environ("OPENEAAP_API_KEY"))
	if err := checkKey(key); err != nil {
		return connection{}, err
	}
	if given := firstOf(c.url, c.environ("OPENEAAP_URL")); given != "" {
		base, err := parseURL(given)
		if err != nil {
			return connection{}, err
		}
		if key == "" {
			if written, err := readConnectionFile(file); err == nil && written.base.String() == base.String() {
				key = written.apiKey
			}
		}
		return connection{base: base, apiKey: key}, nil
	}
	written, err := readConnectionFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return connection{}, &Error{
			Code: CodeUnreachable, cause: err,
			Detail: fmt.Sprintf("No server is known: neither WithURL nor OPENEAAP_URL says one, and %s does not exist.", file),
			Cure:   `Start one with "openeaap dev", or name one.`,
		}
	}
	if err != nil {
		return connection{}, err
	}
	if key == "" {
		return written, nil
	}
	if !isLoopback(written.base) {
		return connection{}, invalid("%s names %s, which is not this machine, so your key is not sent there. If you trust that server, name it with WithURL.", file, written.base.Host)
	}
	return connection{base: written.base, apiKey: key}, nil
}

func readConnectionFile(file string) (connection, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return connection{}, fmt.Errorf("%s cannot be read: %w", file, err)
	}
	var written struct {
		URL    string `json:"url"`
		APIKey string `json:"api_key"`
	}
	if err := json.Unmarshal(text, &written); err != nil || written.URL == "" {
		return connection{}, invalid("%s is damaged: it holds no url. Restart the server, which writes it anew.", file)
	}
	base, err := parseURL(written.URL)
	if err != nil {
		return connection{}, err
	}
	return connection{base: base, apiKey: written.APIKey}, checkKey(written.APIKey)
}

func parseURL(text string) (*url.URL, error) {
	parsed, err := url.Parse(text)
	if err != nil || (parsed.Scheme != "http" && parsed.Scheme != "https") || parsed.Host == "" {
		return nil, invalid("%q is not an http or https address. Write it like http://127.0.0.1:8080.", text)
	}
	if parsed.User != nil {
		return nil, invalid("The address must not hold a user or a password. Give the key with WithAPIKey or OPENEAAP_API_KEY.")
	}
	parsed.RawQuery, parsed.Fragment = "", ""
	if !strings.HasSuffix(parsed.Path, "/") {
		parsed.Path += "/"
	}
	return parsed, nil
}

// checkKey refuses a key that no header can carry: HTTP would fail with the key in the message.
func checkKey(key string) error {
	for _, char := range []byte(key) {
		if char < 0x21 || char > 0x7e {
			return invalid("The API key holds a space or a character that is not ASCII.")
		}
	}
	return nil
}

func isLoopback(base *url.URL) bool {
	ip := net.ParseIP(base.Hostname())
	return base.Hostname() == "localhost" || (ip != nil && ip.IsLoopback())
}

func firstOf(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

func invalid(format string, args ...any) *Error {
	return &Error{Code: CodeInvalidInput, Detail: fmt.Sprintf(format, args...)}
}
