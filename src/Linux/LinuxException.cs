using System.Runtime.InteropServices;

namespace Xfrmd.Linux;

/// <summary>A system call failed: its name and errno. Thrown by the wrappers of this project for everything but EINTR (retried) and EAGAIN (a value).</summary>
public sealed class LinuxException : Exception
{
    public LinuxException(int errno, string call)
        : base($"{call}: {Marshal.GetPInvokeErrorMessage(errno)}") => (Errno, Call) = (errno, call);

    public LinuxException()
    {
    }

    public LinuxException(string message)
        : base(message)
    {
    }

    public LinuxException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    public int Errno { get; }

    public string Call { get; } = "";
}
