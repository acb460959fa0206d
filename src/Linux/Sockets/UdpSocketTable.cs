using System.Globalization;
using Microsoft.Win32.SafeHandles;
using Xfrmd.Linux.Packets;
using Xfrmd.Linux.Process;

namespace Xfrmd.Linux.Sockets;

/// <summary>
/// The bound UDP sockets of a network namespace as <c>/proc/net/udp</c> and <c>/proc/net/udp6</c> list them (<c>udp4_seq_show</c>). Unlike a
/// duplicate of a socket it keeps none alive, and it can be read where pidfd_getfd(2) is forbidden.
/// </summary>
public static class UdpSocketTable
{
    private const int LocalAddressField = 1, InodeField = 9;

    public static IReadOnlyList<BoundUdpSocket> Read(SafeFileHandle netns) => NetworkNamespace.Run<IReadOnlyList<BoundUdpSocket>>(netns, static () =>
    [
        .. Parse("/proc/thread-self/net/udp", SocketAddresses.AF_INET),
        .. Parse("/proc/thread-self/net/udp6", SocketAddresses.AF_INET6),
    ]);

    private static IEnumerable<BoundUdpSocket> Parse(string path, ushort family)
    {
        if (!File.Exists(path))
        {
            yield break;   // no IPv6
        }
        foreach (string line in File.ReadAllLines(path).Skip(1))
        {
            string[] fields = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (fields.Length > InodeField && fields[LocalAddressField].Split(':') is [_, var port]
                && ushort.TryParse(port, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ushort number)
                && ulong.TryParse(fields[InodeField], NumberStyles.None, CultureInfo.InvariantCulture, out ulong inode))
            {
                yield return new BoundUdpSocket(inode, family, number);
            }
        }
    }
}
