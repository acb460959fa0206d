using System.Runtime.InteropServices;

namespace Xfrmd.Attach;

/// <summary>
/// What launcher and daemon say to each other on the control socket. The launcher says hello before it installs its filter, so that a
/// refusal costs nothing; then it sends the listener with one byte (whether signals wait for answers). Each is answered with
/// <see cref="Accepted"/>, or with the reason for a person to read; the hello also with <see cref="AcceptedUnseen"/>.
/// </summary>
internal static class ControlProtocol
{
    public const string Accepted = "ok";

    /// <summary>The daemon may not look at the program's descriptors (pidfd_getfd): the filter must tell it what it could see there.</summary>
    public const string AcceptedUnseen = "ok, unseen";
    public const int MaxReason = 512;

    private const uint Magic = 0x6d726678;   // "xfrm"
    private const uint Version = 3;

    public static int HelloSize => Marshal.SizeOf<Hello>();

    public static byte[] WriteHello(ReservedRange range)
    {
        Hello hello = new() { Magic = Magic, Version = Version, Low = range.Low, High = range.High };
        return MemoryMarshal.AsBytes(new ReadOnlySpan<Hello>(in hello)).ToArray();
    }

    public static bool TryReadHello(ReadOnlySpan<byte> message, out ReservedRange range)
    {
        range = default;
        if (!MemoryMarshal.TryRead(message, out Hello hello) || hello.Magic != Magic || hello.Version != Version)
        {
            return false;
        }
        range = new ReservedRange(hello.Low, hello.High);
        return range.Low > 2 && range.High > range.Low && range.High <= 1 << 20;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Hello
    {
        public uint Magic;
        public uint Version;
        public int Low;
        public int High;
    }
}
