using System.CommandLine;
using Xfrmd.Cli.Control;

namespace Xfrmd.Cli.Commands;

/// <summary><c>xfrmd keys</c>: Wireshark's <c>esp_sa</c> table.</summary>
internal static class KeysCommand
{
    public static CliCommand Create()
    {
        (Option<string?> socket, Option<bool> show) = (CommonOptions.Socket(), CommonOptions.ShowKeys());
        return new CliCommand("keys", "Wireshark's ESP table, so that it decrypts what a capture holds.",
            "xfrmd keys --show-keys > ~/.config/wireshark/esp_sa",
            "tshark -r wire.pcap -o esp.enable_encryption_decode:TRUE $(xfrmd keys --show-keys | sed 's/.*/-o uat:esp_sa:&/')")
        {
            socket, show,
        }.Explained("""
                For the SAs of this network namespace. Whoever has the table reads the traffic, so it must be asked for with --show-keys.
                In Wireshark: Preferences, Protocols, ESP, "Attempt to detect/decode encrypted ESP payloads". The names are those of
                Wireshark 4.0 and later; an SA that it has no name for is told on standard error and left out.
                """).Does(parsed => Execute(CommonOptions.SocketOf(parsed, socket), parsed.GetValue(show)));
    }

    private static int Execute(string socket, bool show)
    {
        if (!show)
        {
            throw new ControlException("keys are shown only on request: add --show-keys if whoever sees the output may read the traffic");
        }
        foreach (SaReport sa in Daemon.Ask(socket, new ControlRequest { Command = "state", ShowKeys = true }, ControlJson.Default.SaReportArray))
        {
            if (WiresharkTable.Line(sa) is { } line)
            {
                Console.Out.WriteLine(line);
            }
            else if (sa is { Protocol: "esp", State: "valid" })
            {
                Console.Error.WriteLine($"xfrmd keys: Wireshark has no name for {sa.Cipher} {sa.Integrity}: {sa.Spi} is left out");
            }
        }
        return ExitCode.Done;
    }
}
