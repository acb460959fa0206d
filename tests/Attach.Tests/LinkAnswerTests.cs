using System.Runtime.InteropServices;

namespace Xfrmd.Attach.Tests;

/// <summary>What programs are told of interfaces of kind xfrm, which are TUN devices to the kernel beneath.</summary>
public sealed class LinkAnswerTests
{
    private const ushort NewLink = 16, Done = 3, Mtu = 4, Link = 5, IfName = 3, LinkInfo = 18, Carrier = 33;

    [Fact]
    public void An_interface_is_told_as_Linux_tells_its_own_and_all_else_as_it_came()
    {
        byte[] other = Message(NewLink, 1, Attribute(IfName, "lo\0"u8)), unknown = Message(NewLink, 9, Tun), done = Message(Done, 0);
        byte[] ours = Message(NewLink, 7, Attribute(IfName, "xfrm7\0"u8), Attribute(Mtu, [120, 5, 0, 0]), Attribute(Carrier, [1]), Tun, Attribute(50, [9]));
        byte[] expected = Message(NewLink, 7, Attribute(IfName, "xfrm7\0"u8), Attribute(Mtu, [120, 5, 0, 0]), Attribute(Link, [2, 0, 0, 0]), Attribute(Carrier, [1]),
            Attribute(LinkInfo, [.. Attribute(1, "xfrm\0"u8), .. Attribute(2, [.. Attribute(1, [2, 0, 0, 0]), .. Attribute(2, [42, 0, 0, 0])])]), Attribute(50, [9]));
        Assert.Equal([.. other, .. expected, .. unknown, .. done], LinkAnswer.Rewrite([.. other, .. ours, .. unknown, .. done], Find)!);
        Assert.Null(LinkAnswer.Rewrite([.. other, .. unknown, .. done], Find));
        // The index has been another device's since.
        Assert.Null(LinkAnswer.Rewrite(Message(NewLink, 7, Attribute(IfName, "dm0\0"u8), Attribute(LinkInfo, Attribute(1, "dummy\0"u8))), Find));
        Assert.Null(LinkAnswer.Rewrite([], Find));
    }

    [Fact]
    public void No_bytes_are_read_past_the_end()
    {
        byte[] whole = [.. Message(NewLink, 7, Attribute(Carrier, [1]), Tun), .. Message(NewLink, 7, Tun)];
        Random random = new(7);
        for (int i = 0; i < 20_000; i++)
        {
            byte[] bytes = whole[..random.Next(whole.Length + 1)];
            for (int changes = random.Next(4); changes > 0 && bytes.Length > 0; changes--)
            {
                bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            }
            byte[]? told = LinkAnswer.Rewrite(bytes, Find);
            Assert.True(told is null || told.Length <= bytes.Length + 64);
        }
    }

    private static byte[] Tun => Attribute(LinkInfo, [.. Attribute(1, "tun\0"u8), .. Attribute(2, new byte[40])]);

    private static XfrmLink? Find(int index) => index == 7 ? new XfrmLink("xfrm7", IfId: 42, Parent: 2) : null;

    private static byte[] Attribute(ushort type, ReadOnlySpan<byte> payload) =>
        [.. BitConverter.GetBytes((ushort)(4 + payload.Length)), .. BitConverter.GetBytes(type), .. payload, .. new byte[-payload.Length & 3]];

    private static byte[] Message(ushort type, int index, params byte[][] attributes)
    {
        byte[] bytes = [.. new byte[32], .. attributes.SelectMany(a => a)];
        MemoryMarshal.Write(bytes, bytes.Length);
        MemoryMarshal.Write(bytes.AsSpan(4), type);
        MemoryMarshal.Write(bytes.AsSpan(20), index);
        return bytes;
    }
}
