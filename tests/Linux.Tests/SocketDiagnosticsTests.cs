using System.Net;
using System.Net.Sockets;
using Xfrmd.Linux.Packets;
using Xfrmd.Linux.Sockets;

namespace Xfrmd.Linux.Tests;

/// <summary>Which socket takes a packet.</summary>
public sealed class SocketDiagnosticsTests
{
    private const byte Tcp = 6, Udp = 17;
    private const uint First = 0x11, Second = 0x22;

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("::1")]
    public void A_connected_socket_goes_before_one_that_takes_all(string text)
    {
        IPAddress address = IPAddress.Parse(text);
        byte[] bytes = address.GetAddressBytes();
        using SocketDiagnostics sockets = new();
        using Socket all = Open(address, SocketType.Dgram, First), one = Open(address, SocketType.Dgram, Second), peer = Open(address, SocketType.Dgram, 0);
        all.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
        one.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
        peer.Bind(new IPEndPoint(address, 0));
        all.Bind(new IPEndPoint(address, 0));
        one.Bind(all.LocalEndPoint!);
        one.Connect(peer.LocalEndPoint!);
        Assert.Equal(Second, sockets.MarkOf(Udp, bytes, PortOf(peer), bytes, PortOf(all)));
        one.Close();
        Assert.Equal(First, sockets.MarkOf(Udp, bytes, PortOf(peer), bytes, PortOf(all)));
        Assert.Null(sockets.MarkOf(Tcp, bytes, PortOf(peer), bytes, PortOf(all)));
        Assert.Null(sockets.MarkOf(1, bytes, PortOf(peer), bytes, PortOf(all)));
    }

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("::1")]
    public void A_connection_that_nobody_has_accepted_has_its_listeners_mark(string text)
    {
        IPAddress address = IPAddress.Parse(text);
        byte[] bytes = address.GetAddressBytes();
        using SocketDiagnostics sockets = new();
        using Socket listener = Open(address, SocketType.Stream, First), client = Open(address, SocketType.Stream, Second);
        listener.Bind(new IPEndPoint(address, 0));
        listener.Listen(1);
        Assert.Equal(First, sockets.MarkOf(Tcp, bytes, 9, bytes, PortOf(listener)));
        client.Connect(listener.LocalEndPoint!);
        Assert.Equal(First, sockets.MarkOf(Tcp, bytes, PortOf(client), bytes, PortOf(listener)));
        Assert.Equal(Second, sockets.MarkOf(Tcp, bytes, PortOf(listener), bytes, PortOf(client)));
        Assert.Superset(new HashSet<uint> { First, Second }, sockets.TcpMarks()!);
    }

    private static Socket Open(IPAddress address, SocketType type, uint mark)
    {
        Socket socket = new(address.AddressFamily, type, type == SocketType.Dgram ? ProtocolType.Udp : ProtocolType.Tcp);
        using Microsoft.Win32.SafeHandles.SafeFileHandle handle = new(socket.Handle, ownsHandle: false);
        Assert.True(PacketSockets.TrySetMark(handle, mark));
        Assert.Equal(mark, PacketSockets.Mark(handle));
        return socket;
    }

    private static ushort PortOf(Socket socket) => (ushort)((IPEndPoint)socket.LocalEndPoint!).Port;
}
