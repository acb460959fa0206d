using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Xfrmd.Cli.Control;

/// <summary>Who is at the other end of a unix socket (<c>SO_PEERCRED</c>, <c>struct ucred</c>).</summary>
internal static class PeerCredentials
{
    private const int SolSocket = 1, SoPeerCred = 17;

    /// <summary>Root, or the user as which this process runs.</summary>
    /// <param name="peer">The connection.</param>
    /// <param name="processId">Who opened it; 0 where it lives in a process namespace that we do not see.</param>
    public static bool MayControl(Socket peer, out int processId)
    {
        processId = 0;
        Span<byte> ucred = stackalloc byte[12];
        if (peer.GetRawSocketOption(SolSocket, SoPeerCred, ucred) != ucred.Length)
        {
            return false;
        }
        processId = MemoryMarshal.Read<int>(ucred);
        uint uid = MemoryMarshal.Read<uint>(ucred[4..]);
        return uid == 0 || uid == OwnUid();
    }

    private static uint? OwnUid()
    {
        foreach (string line in File.ReadLines("/proc/self/status"))
        {
            if (line.StartsWith("Uid:", StringComparison.Ordinal))
            {
                return uint.Parse(line.Split('\t', StringSplitOptions.RemoveEmptyEntries)[1], System.Globalization.CultureInfo.InvariantCulture);
            }
        }
        return null;
    }
}
