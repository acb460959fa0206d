using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace Xfrmd.Cli.Control;

/// <summary>
/// Blocks of pcapng (draft-ietf-opsawg-pcapng), little endian, time stamps in microseconds. Each block: type, total length, body, options, total
/// length again.
/// </summary>
internal sealed class PcapngWriter
{
    public const uint SectionHeader = 0x0A0D0D0A, InterfaceDescription = 1, EnhancedPacket = 6, InterfaceStatistics = 5, DecryptionSecrets = 0x0A;

    /// <summary>LINKTYPE_RAW: each packet begins with an IP header.</summary>
    private const ushort LinkTypeRaw = 101;

    /// <summary>Secrets of Wireshark's esp_sa table, one line for each SA ("ESPS").</summary>
    private const uint EspSecrets = 0x45535053;
    private const uint ByteOrderMagic = 0x1A2B3C4D;
    private const ushort EndOfOptions = 0, Comment = 1, InterfaceName = 2, InterfaceText = 3, UserApplication = 4, Drops = 5;
    private readonly ArrayBufferWriter<byte> _block = new();

    /// <summary>What was written since <see cref="Clear"/>.</summary>
    public ReadOnlyMemory<byte> Written => _block.WrittenMemory;

    public void Clear() => _block.ResetWrittenCount();

    public void Section(string application)
    {
        using Scope scope = new(this, SectionHeader);
        Word(ByteOrderMagic);
        Half(1);
        Half(0);
        Word(uint.MaxValue);   // section length: not known
        Word(uint.MaxValue);
        Text(UserApplication, application);
        Text(EndOfOptions, "");
    }

    public void Interface(string name, string description, int snapLength)
    {
        using Scope scope = new(this, InterfaceDescription);
        Half(LinkTypeRaw);
        Half(0);
        Word((uint)snapLength);
        Text(InterfaceName, name);
        Text(InterfaceText, description);
        Text(EndOfOptions, "");
    }

    public void Packet(int interfaceId, long microseconds, ReadOnlySpan<byte> bytes, int length, string comment)
    {
        using Scope scope = new(this, EnhancedPacket);
        Word((uint)interfaceId);
        Word((uint)(microseconds >> 32));
        Word((uint)microseconds);
        Word((uint)bytes.Length);
        Word((uint)length);
        Padded(bytes);
        Text(Comment, comment);
        Text(EndOfOptions, "");
    }

    /// <summary>How many packets of an interface were lost by the capture itself.</summary>
    public void Statistics(int interfaceId, long microseconds, long dropped)
    {
        using Scope scope = new(this, InterfaceStatistics);
        Word((uint)interfaceId);
        Word((uint)(microseconds >> 32));
        Word((uint)microseconds);
        Half(Drops);
        Half(sizeof(long));
        Word((uint)dropped);
        Word((uint)(dropped >> 32));
        Text(EndOfOptions, "");
    }

    /// <summary>Keys, as lines of esp_sa.</summary>
    public void Secrets(string lines)
    {
        using Scope scope = new(this, DecryptionSecrets);
        byte[] text = Encoding.UTF8.GetBytes(lines);
        Word(EspSecrets);
        Word((uint)text.Length);
        Padded(text);
    }

    /// <summary>What <see cref="Statistics"/> has written into a block.</summary>
    public static long ReadDropped(ReadOnlySpan<byte> block)
    {
        const int OptionAt = 20, ValueAt = OptionAt + 4;
        return block.Length >= ValueAt + sizeof(long) && BinaryPrimitives.ReadUInt16LittleEndian(block[OptionAt..]) == Drops
            ? BinaryPrimitives.ReadInt64LittleEndian(block[ValueAt..]) : 0;
    }

    private void Text(ushort option, string value)
    {
        byte[] text = Encoding.UTF8.GetBytes(value);
        Half(option);
        Half((ushort)text.Length);
        Padded(text);
    }

    private void Padded(ReadOnlySpan<byte> bytes)
    {
        _block.Write(bytes);
        _block.Write("\0\0\0"u8[..(-bytes.Length & 3)]);
    }

    private void Word(uint value)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(_block.GetSpan(sizeof(uint)), value);
        _block.Advance(sizeof(uint));
    }

    private void Half(ushort value)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(_block.GetSpan(sizeof(ushort)), value);
        _block.Advance(sizeof(ushort));
    }

    /// <summary>A block from its type to its second length, which is known at its end.</summary>
    private readonly ref struct Scope
    {
        private readonly PcapngWriter _writer;
        private readonly int _start;

        public Scope(PcapngWriter writer, uint type)
        {
            _writer = writer;
            _start = writer._block.WrittenCount;
            writer.Word(type);
            writer.Word(0);
        }

        public void Dispose()
        {
            uint length = (uint)(_writer._block.WrittenCount - _start + sizeof(uint));
            _writer.Word(length);
            Span<byte> written = System.Runtime.InteropServices.MemoryMarshal.AsMemory(_writer._block.WrittenMemory).Span;
            BinaryPrimitives.WriteUInt32LittleEndian(written[(_start + sizeof(uint))..], length);
        }
    }
}
