namespace Xfrmd.Kernel;

/// <summary>What a control operation ended with: an error number and, where Linux gives one, its extended-ACK text.</summary>
public readonly record struct Outcome(Errno Errno, string? ExtAck = null)
{
    public static readonly Outcome Ok = new(Errno.None);
    public bool IsOk => Errno == Errno.None;
    public static Outcome Reject(Errno errno, string? extAck = null) => new(errno, extAck);
    public static implicit operator Outcome(Errno errno) => new(errno);
}
