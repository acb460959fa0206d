using System.Buffers.Binary;
using System.CommandLine;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Xfrmd.Cli.Control;
using Xfrmd.Linux.Process;

namespace Xfrmd.Cli.Commands;

/// <summary><c>xfrmd capture</c>: the daemon makes the pcapng, this writes it, whole block by whole block.</summary>
internal static class CaptureCommand
{
    private const int BlockHeader = 8, MinBlock = 12, MaxBlock = 16 << 20, SigInt = 2;

    public static CliCommand Create()
    {
        (Option<string?> socket, Option<bool> keys) = (CommonOptions.Socket(), new Option<bool>("--with-keys")
        {
            Description = "Put the SAs' keys into the file: whoever has it can read the traffic. Wireshark from 4.7 on reads them there; for older ones see `xfrmd keys`.",
        });
        Option<string?> write = new("--write", "-w") { HelpName = "FILE", Description = "Where to; - is standard output (the default where that is no terminal)." };
        Option<string> side = new("--side") { HelpName = "clear|esp|both", Description = "Which side of the SAs.", DefaultValueFactory = _ => CaptureQuery.Both };
        side.AcceptOnlyFromAmong(CaptureQuery.Clear, CaptureQuery.Esp, CaptureQuery.Both);
        Option<long> count = new("--count", "-c") { HelpName = "N", Description = "Stop after N packets." };
        Option<int> snap = new("--snaplen", "-s") { HelpName = "BYTES", Description = "Keep so many bytes of each packet.", DefaultValueFactory = _ => CaptureQuery.MaxSnapLength };
        Option<string?> spi = new("--spi") { HelpName = "SPI", Description = "Only packets of this SA, for instance 0xc1d2e3f4." };
        Option<string?> host = new("--host") { HelpName = "ADDRESS", Description = "Only packets from or to this address, inside or outside of the tunnel." };
        return new CliCommand("capture", "Packets as pcapng for Wireshark: the clear side and the ESP side, each with its SA.",
            "xfrmd capture -w tunnel.pcapng", "xfrmd capture --side clear -c 10 -w - | tshark -r -", "xfrmd capture | wireshark -k -i -")
        {
            write, side, count, snap, spi, host, keys, socket,
        }.Explained("""
                Two interfaces, ipsec-clear and ipsec-esp, of link type 101 (raw IP). The comment of a packet names direction, SA and, where it was
                dropped, why. It sees what passes the daemon: not what goes in clear past it. Ctrl-C ends it. Packets that came faster than they
                could be copied are counted and told at the end; traffic is never held up.
                """).Does(parsed => Execute(CommonOptions.SocketOf(parsed, socket), parsed.GetValue(write), parsed.GetValue(keys), new CaptureQuery
        {
            Side = parsed.GetValue(side)!,
            Count = AtLeast(0, parsed.GetValue(count), "--count"),
            SnapLength = (int)AtLeast(1, parsed.GetValue(snap), "--snaplen"),
            Spi = ParseSpi(parsed.GetValue(spi)),
            Host = CheckHost(parsed.GetValue(host)),
        }));
    }

    private static int Execute(string socket, string? path, bool withKeys, CaptureQuery query)
    {
        if (path is null && !Console.IsOutputRedirected)
        {
            throw new UsageException("a capture is no text for a terminal: name a file with -w FILE, or pipe it into a program");
        }
        using ControlClient client = new(socket);
        client.Ask(new ControlRequest { Command = "capture", ShowKeys = withKeys, Capture = query });
        bool stopped = false;
        // A script's shell has what it starts with & ignore it, and kill -INT is how such a capture is ended, with every capturing program.
        ProgramImage.RestoreDefaultSignal(SigInt);
        using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        byte[] block = new byte[MinBlock];
        Stream source = client.ReadBytes();
        if (!TryReadBlock(source, ref block, out int length))
        {
            throw new ControlException("the daemon closed the connection; look at its log");
        }
        using Stream target = Open(path);
        Console.Error.WriteLine($"xfrmd capture: to {(path is null or "-" ? "standard output" : path)}; Ctrl-C ends it");
        (long packets, long lost) = (0, 0);
        bool isWhole = false;
        do
        {
            target.Write(block, 0, length);
            uint type = BinaryPrimitives.ReadUInt32LittleEndian(block);
            if (type == PcapngWriter.EnhancedPacket)
            {
                packets++;
            }
            if (type == PcapngWriter.InterfaceStatistics)
            {
                isWhole = true;
                lost += PcapngWriter.ReadDropped(block.AsSpan(0, length));
            }
            if (source is System.Net.Sockets.NetworkStream { DataAvailable: false })
            {
                target.Flush();   // a reader of the pipe sees each packet at once
            }
        }
        while (TryReadBlock(source, ref block, out length));
        target.Flush();
        Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"xfrmd capture: {packets} packets, {lost} lost because they came too fast"));
        return isWhole || stopped ? ExitCode.Done : throw new ControlException("the daemon ended before the capture did; what came until then is whole");

        void Stop(PosixSignalContext context)
        {
            context.Cancel = true;
            stopped = true;
            client.Finish();
        }
    }

    private static Stream Open(string? path)
    {
        if (path is null or "-")
        {
            return Console.OpenStandardOutput();
        }
        try
        {
            return new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.Read);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new ControlException($"cannot write {path}: {failure.Message} Choose another file with -w");
        }
    }

    /// <summary>False at the end, or where the daemon went away within a block.</summary>
    private static bool TryReadBlock(Stream source, ref byte[] block, out int length)
    {
        length = 0;
        try
        {
            if (source.ReadAtLeast(block.AsSpan(0, BlockHeader), BlockHeader, throwOnEndOfStream: false) < BlockHeader)
            {
                return false;
            }
            if (block[0] == '{')
            {
                using StreamReader text = new(source, Encoding.UTF8);
                ControlClient.ThrowIfRefused(Encoding.UTF8.GetString(block, 0, BlockHeader) + text.ReadLine());
            }
            uint total = BinaryPrimitives.ReadUInt32LittleEndian(block.AsSpan(4));
            if (total is < MinBlock or > MaxBlock)
            {
                return false;
            }
            length = (int)total;
            if (block.Length < length)
            {
                Array.Resize(ref block, length);
            }
            return source.ReadAtLeast(block.AsSpan(BlockHeader, length - BlockHeader), length - BlockHeader, throwOnEndOfStream: false) == length - BlockHeader;
        }
        catch (IOException)
        {
            return false;
        }
    }

    private static long AtLeast(long least, long value, string option) => value >= least ? value : throw new UsageException($"{option} must be at least {least}");

    private static uint ParseSpi(string? text)
    {
        if (text is null)
        {
            return 0;
        }
        bool parsed = text.StartsWith("0x", StringComparison.OrdinalIgnoreCase)
            ? uint.TryParse(text.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out uint spi)
            : uint.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out spi);
        return parsed && spi != 0 ? spi : throw new UsageException($"'{text}' is no SPI: give it as 'xfrmd state' shows it, for instance 0xc1d2e3f4");
    }

    private static string? CheckHost(string? text) =>
        text is null || System.Net.IPAddress.TryParse(text, out _) ? text : throw new UsageException($"'{text}' is no IP address");
}
