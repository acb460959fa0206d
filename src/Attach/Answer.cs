using Xfrmd.Kernel;
using Xfrmd.Linux.Seccomp;

namespace Xfrmd.Attach;

/// <summary>What becomes of a system call: the kernel does it, or it returns this value, or this error, or a descriptor has answered it, or another thread will.</summary>
internal readonly record struct Answer(AnswerKind Kind, long Number)
{
    public static readonly Answer Continue = new(AnswerKind.Continue, 0);
    public static readonly Answer Sent = new(AnswerKind.Sent, 0);
    public static readonly Answer Held = new(AnswerKind.Held, 0);

    public static Answer Value(long value) => new(AnswerKind.Value, value);

    public static Answer Error(int errno) => new(AnswerKind.Error, errno);

    public SeccompResponse ResponseTo(ulong id) => new()
    {
        Id = id,
        Value = Kind == AnswerKind.Value ? Number : 0,
        Error = Kind == AnswerKind.Error ? -(int)Number : 0,
        Flags = Kind == AnswerKind.Continue ? SeccompListener.Continue : 0,
    };

    /// <summary>0, or the error.</summary>
    public static implicit operator Answer(Errno errno) => errno == Errno.None ? Value(0) : Error((int)errno);
}
