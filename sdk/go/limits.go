package openeaap

import "time"

const (
	// sdkVersion is what the handshake tells, for logs.
	sdkVersion = "0.1.0"
	// protocolVersion of runtimev1, the only one this SDK speaks.
	protocolVersion = 1
	// maxMessageBytes is received and sent: a journal grows with its run.
	maxMessageBytes = 32 << 20
	// defaultConcurrentSteps keeps a flood of steps from taking the memory of the machine.
	defaultConcurrentSteps = 256
	// defaultToolTimeout is the protocol's, for a call that brings no deadline.
	defaultToolTimeout = 30 * time.Second
	// drainTimeout is how long steps may go on after SIGTERM.
	drainTimeout = 10 * time.Second
	// healthTimeout is how long a health check of the program may take.
	healthTimeout = 2 * time.Second
	// leastPingInterval is what a control plane may do at most to keep a connection alive.
	leastPingInterval = 5 * time.Second
	// maxErrorBytes is the longest message of a failed step; more is cut.
	maxErrorBytes = 4096
	// maxNameChars of a tool.
	maxNameChars = 64
)
