using System.Buffers.Binary;
using System.Net;

namespace Xfrmd.PfKey.Tests;

/// <summary>PF_KEY messages put together byte by byte after linux/pfkeyv2.h, without the code under test.</summary>
internal static class Messages
{
    public const int IpIpsecPolicy = 16, Ipv6IpsecPolicy = 34;
    public const byte GetSpi = 1, Update = 2, Add = 3, Delete = 4, Get = 5, Acquire = 6, Register = 7, Expire = 8, Flush = 9, Dump = 10, Promisc = 11,
        SpdUpdate = 13, SpdAdd = 14, SpdDelete = 15, SpdGet = 16, SpdDump = 18, SpdFlush = 19, SpdDelete2 = 22, NewMapping = 23, Migrate = 24;
    public const byte Unspec = 0, Ah = 2, Esp = 3, IpComp = 9;
    public const byte Transport = 1, Tunnel = 2, Beet = 3;
    public const byte In = 1, Out = 2, Fwd = 3;
    public const uint Pid = 4242;

    public static byte[] Message(byte type, byte satype, uint seq, params byte[][] extensions)
    {
        byte[] message = [2, type, 0, satype, 0, 0, 0, 0, .. U32(seq), .. U32(Pid), .. extensions.SelectMany(e => e)];
        BinaryPrimitives.WriteUInt16LittleEndian(message.AsSpan(4), (ushort)(message.Length / 8));
        return message;
    }

    public static byte[] Extension(ushort type, params byte[] body)
    {
        int length = (4 + body.Length + 7) / 8 * 8;
        byte[] extension = [.. U16((ushort)(length / 8)), .. U16(type), .. body];
        Array.Resize(ref extension, length);
        return extension;
    }

    public static byte[] Sa(uint spi, byte auth = 3, byte encrypt = 12, byte replay = 4, uint flags = 0) =>
        Extension(1, [.. Be32(spi), replay, 1, auth, encrypt, .. U32(flags)]);

    public static byte[] Lifetime(ushort type, uint packets = 0, ulong bytes = 0, ulong added = 0, ulong used = 0) =>
        Extension(type, [.. U32(packets), .. U64(bytes), .. U64(added), .. U64(used)]);

    public static byte[] Source(string address, byte? prefix = null, byte proto = 0, ushort port = 0) => Address(5, address, prefix, proto, port);

    public static byte[] Destination(string address, byte? prefix = null, byte proto = 0, ushort port = 0) => Address(6, address, prefix, proto, port);

    public static byte[] Address(ushort type, string address, byte? prefix = null, byte proto = 0, ushort port = 0)
    {
        byte full = address.Contains(':', StringComparison.Ordinal) ? (byte)128 : (byte)32;
        return Extension(type, [proto, prefix ?? full, 0, 0, .. Sockaddr(address, port)]);
    }

    public static byte[] AuthKey(int bytes) => Key(8, bytes);

    public static byte[] EncryptKey(int bytes) => Key(9, bytes);

    public static byte[] SpiRange(uint low, uint high) => Extension(16, [.. U32(low), .. U32(high), 0, 0, 0, 0]);

    public static byte[] Sa2(byte mode, uint reqid = 0) => Extension(19, [mode, 0, 0, 0, 0, 0, 0, 0, .. U32(reqid)]);

    public static byte[] NatT(byte type, ushort sport, ushort dport) =>
        [.. Extension(20, type, 0, 0, 0), .. Extension(21, [.. Be16(sport), 0, 0]), .. Extension(22, [.. Be16(dport), 0, 0])];

    public static byte[] Policy(ushort type, byte direction, uint id = 0, uint priority = 0, params byte[][] requests) =>
        Extension(18, [.. U16(type), direction, 0, .. U32(id), .. U32(priority), .. requests.SelectMany(r => r)]);

    public static byte[] Request(ushort proto, byte mode, byte level, uint reqid = 0, string? source = null, string? destination = null)
    {
        byte[] addresses = source is null ? [] : [.. Sockaddr(source, 0), .. Sockaddr(destination!, 0)];
        return [.. U16((ushort)(16 + addresses.Length)), .. U16(proto), mode, level, 0, 0, .. U32(reqid), 0, 0, 0, 0, .. addresses];
    }

    /// <summary>An ESP SA in transport mode with SHA-1 and AES-128.</summary>
    public static byte[] AddEsp(uint seq, uint spi, string source = "10.0.0.1", string destination = "10.0.0.2", byte type = Add, byte mode = Transport, uint reqid = 0,
        params byte[][] more) =>
        Message(type, Esp, seq, [Sa(spi), Source(source), Destination(destination), AuthKey(20), EncryptKey(16), Sa2(mode, reqid), .. more]);

    /// <summary>An outbound tunnel policy.</summary>
    public static byte[] AddPolicy(uint seq, string source = "192.168.1.0", string destination = "192.168.2.0", byte type = SpdAdd, uint reqid = 0) =>
        Message(type, Unspec, seq, Source(source, 24, 255), Destination(destination, 24, 255),
            Policy(2, Out, requests: [Request(50, Tunnel, reqid == 0 ? (byte)2 : (byte)3, reqid, "10.0.0.1", "10.0.0.2")]));

    /// <summary>A value of IP_IPSEC_POLICY that asks for ESP in transport mode at level UNIQUE.</summary>
    public static byte[] UniqueSocketPolicy(uint reqid) => Policy(2, Out, requests: [Request(50, Transport, 3, reqid)]);

    public static byte TypeOf(byte[] message) => message[1];

    public static byte ErrnoOf(byte[] message) => message[2];

    public static uint SeqOf(byte[] message) => BinaryPrimitives.ReadUInt32LittleEndian(message.AsSpan(8));

    public static uint PidOf(byte[] message) => BinaryPrimitives.ReadUInt32LittleEndian(message.AsSpan(12));

    /// <summary>The extensions of a message in their order: type and whole extension.</summary>
    public static List<(ushort Type, byte[] Bytes)> ExtensionsOf(byte[] message)
    {
        List<(ushort, byte[])> extensions = [];
        for (int at = 16; at < message.Length;)
        {
            int length = BinaryPrimitives.ReadUInt16LittleEndian(message.AsSpan(at)) * 8;
            extensions.Add((BinaryPrimitives.ReadUInt16LittleEndian(message.AsSpan(at + 2)), message[at..(at + length)]));
            at += length;
        }
        return extensions;
    }

    public static byte[] ExtensionOf(byte[] message, ushort type) => Assert.Single(ExtensionsOf(message), e => e.Type == type).Bytes;

    public static uint SpiOf(byte[] message) => BinaryPrimitives.ReadUInt32BigEndian(ExtensionOf(message, 1).AsSpan(4));

    private static byte[] Key(ushort type, int bytes) => Extension(type, [.. U16((ushort)(bytes * 8)), 0, 0, .. Enumerable.Range(1, bytes).Select(i => (byte)i)]);

    private static byte[] Sockaddr(string address, ushort port)
    {
        byte[] raw = IPAddress.Parse(address).GetAddressBytes();
        return raw.Length == 4 ? [2, 0, .. Be16(port), .. raw, 0, 0, 0, 0, 0, 0, 0, 0] : [10, 0, .. Be16(port), 0, 0, 0, 0, .. raw, 0, 0, 0, 0];
    }

    private static byte[] U16(ushort value) => [(byte)value, (byte)(value >> 8)];

    private static byte[] U32(uint value) => [.. U16((ushort)value), .. U16((ushort)(value >> 16))];

    private static byte[] U64(ulong value) => [.. U32((uint)value), .. U32((uint)(value >> 32))];

    private static byte[] Be16(ushort value) => [(byte)(value >> 8), (byte)value];

    private static byte[] Be32(uint value) => [.. Be16((ushort)(value >> 16)), .. Be16((ushort)value)];
}
