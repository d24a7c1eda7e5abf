package client

import "time"

// WithWaits lets tests wait for less.
func WithWaits(firstRetry, longestRetry, streamIdle time.Duration) Option {
	return func(c *config) {
		c.waits = waits{firstRetry: firstRetry, longestRetry: longestRetry, streamIdle: streamIdle}
	}
}
