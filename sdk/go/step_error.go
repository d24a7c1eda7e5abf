package openeaap

import (
	"github.com/openeaap/openeaap/sdk/go/runtimev1"
)

// Code says what kind of failure a [StepError] is. The set is closed; the names are the protocol's.
type Code string

const (
	// CodeInvalidInput: the step cannot be executed as it is.
	CodeInvalidInput Code = "INVALID_INPUT"
	// CodeToolFailed: it certainly failed and nothing was changed by it. Not repeated.
	CodeToolFailed Code = "TOOL_FAILED"
	// CodeToolUnavailable: what the tool needs cannot be reached.
	CodeToolUnavailable Code = "TOOL_UNAVAILABLE"
	// CodeModelUnavailable: no model answered.
	CodeModelUnavailable Code = "MODEL_UNAVAILABLE"
	// CodeModelInvalidOutput: the model answered with nothing that can be used; the agent is asked again.
	CodeModelInvalidOutput Code = "MODEL_INVALID_OUTPUT"
	// CodeModelRejected: the model server refused the request.
	CodeModelRejected Code = "MODEL_REJECTED"
	// CodeCancelled: the step was cancelled.
	CodeCancelled Code = "CANCELLED"
	// CodeConstraintViolated: a constraint of the step forbids it.
	CodeConstraintViolated Code = "CONSTRAINT_VIOLATED"
	// CodeOverloaded: the plugin has more steps under way than it wants.
	CodeOverloaded Code = "OVERLOADED"
	// CodeInternal: something else broke. Whether a tool had its effect is not known.
	CodeInternal Code = "INTERNAL"
)

// StepError is the one error that crosses to the platform. Message is shown to users and to the
// model: no secrets, no stacks. Cause stays here and goes to the log alone.
type StepError struct {
	Code    Code
	Message string
	// Retryable: the same step may be tried again, and nothing was changed by this try.
	Retryable bool
	Cause     error
}

func (e *StepError) Error() string { return string(e.Code) + ": " + e.Message }

// Unwrap gives the cause, for errors.Is and errors.As.
func (e *StepError) Unwrap() error { return e.Cause }

// Failed says that a tool certainly failed and changed nothing. It is not tried again; the agent
// is told the message.
func Failed(message string) error {
	return &StepError{Code: CodeToolFailed, Message: message}
}

// Unavailable says that a tool could not reach what it needs and changed nothing. It is tried again.
func Unavailable(message string) error {
	return &StepError{Code: CodeToolUnavailable, Message: message, Retryable: true}
}

// InvalidInput says that an argument cannot be used, which the schema could not tell. Field is its
// path, e.g. "hosts[2].port".
func InvalidInput(field, message string) error {
	return &StepError{Code: CodeInvalidInput, Message: field + ": " + message}
}

// ModelUnavailable says that an agent's model did not answer. The think is tried again.
func ModelUnavailable(message string) error {
	return &StepError{Code: CodeModelUnavailable, Message: message, Retryable: true}
}

func toProtoCode(code Code) runtimev1.ErrorCode {
	// An unknown name gives 0, UNSPECIFIED, which is taken for INTERNAL.
	return runtimev1.ErrorCode(runtimev1.ErrorCode_value["ERROR_CODE_"+string(code)])
}

func fromProtoError(e *runtimev1.StepError) *StepError {
	if e == nil {
		return nil
	}
	code := CodeInternal
	if name, known := runtimev1.ErrorCode_name[int32(e.GetCode())]; known && e.GetCode() != runtimev1.ErrorCode_ERROR_CODE_UNSPECIFIED {
		code = Code(name[len("ERROR_CODE_"):])
	}
	return &StepError{Code: code, Message: e.GetMessage(), Retryable: e.GetRetryable()}
}
