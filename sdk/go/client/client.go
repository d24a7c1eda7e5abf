package client

import (
	"context"
	"net/http"
	"os"
	"time"
)

// Client of one platform. It is safe for concurrent use.
type Client struct {
	http *http.Client
	base string
	// authorize keeps the key out of the reach of format verbs.
	authorize func(*http.Request)
	userAgent string
	waits     waits
}

// waits are set shorter by tests only.
type waits struct {
	// firstRetry doubles with each try.
	firstRetry time.Duration
	// longestRetry is how long at most, also if the server asks for more.
	longestRetry time.Duration
	// streamIdle without anything, not even a heartbeat, is a dead connection: the server sends one
	// each 15 s.
	streamIdle time.Duration
}

// Option sets something of a [Client].
type Option func(*config)

type config struct {
	url, apiKey, dataDir, userAgent string
	http                            *http.Client
	environ                         func(name string) string
	waits                           waits
}

// WithURL is the address of the server. Without it: OPENEAAP_URL, or what the state folder says.
func WithURL(url string) Option { return func(c *config) { c.url = url } }

// WithAPIKey is the key. Without it: OPENEAAP_API_KEY, or that of the state folder's own server.
func WithAPIKey(key string) Option { return func(c *config) { c.apiKey = key } }

// WithDataDir is the state folder of a server on this machine, with its connection.json. Without
// it: OPENEAAP_DATA_DIR, or ./.openeaap.
func WithDataDir(folder string) Option { return func(c *config) { c.dataDir = folder } }

// WithHTTPClient takes the place of the HTTP client, e.g. for an authority of your own. Its Timeout
// must be 0, since streams last as long as their runs.
func WithHTTPClient(client *http.Client) Option { return func(c *config) { c.http = client } }

// WithUserAgent is put before the name of this package.
func WithUserAgent(agent string) Option { return func(c *config) { c.userAgent = agent + " " } }

// WithEnviron takes the place of os.Getenv.
func WithEnviron(environ func(name string) string) Option {
	return func(c *config) { c.environ = environ }
}

// New makes a client. It does not connect yet.
func New(opts ...Option) (*Client, error) {
	c := config{
		http:    &http.Client{},
		environ: os.Getenv,
		waits:   waits{firstRetry: 500 * time.Millisecond, longestRetry: 20 * time.Second, streamIdle: 45 * time.Second},
	}
	for _, opt := range opts {
		opt(&c)
	}
	if c.http.Timeout != 0 {
		return nil, invalid("WithHTTPClient: its Timeout of %s would cut streams. Set it to 0; requests have a limit of their own.", c.http.Timeout)
	}
	connection, err := loadConnection(c)
	if err != nil {
		return nil, err
	}
	own := *c.http
	// The key must not follow a redirect to somewhere else.
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{
		http:      &own,
		base:      connection.base.String(),
		userAgent: c.userAgent + "openeaap-go/0.1.0",
		waits:     c.waits,
		authorize: func(request *http.Request) {
			if connection.apiKey != "" {
				request.Header.Set("Authorization", "Bearer "+connection.apiKey)
			}
		},
	}, nil
}

// Runs of agents.
func (c *Client) Runs() *Runs { return &Runs{c} }

// Approvals that runs wait for.
func (c *Client) Approvals() *Approvals { return &Approvals{c} }

// Agents and their versions.
func (c *Client) Agents() *Agents { return &Agents{c} }

// Feedback on runs.
func (c *Client) Feedback() *Feedback { return &Feedback{c} }

// Tools that agents may be given.
func (c *Client) Tools() *Tools { return &Tools{c} }

// Plugins that the tools and runtimes come from.
func (c *Client) Plugins() *Plugins { return &Plugins{c} }

// sleep waits, or ends with the context.
func sleep(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
