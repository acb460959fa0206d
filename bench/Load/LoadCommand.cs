using System.Globalization;
using System.Net;

namespace Xfrmd.Bench.Load;

/// <summary>
/// Sends and receives datagrams at a known rate: <c>receive PORT</c> answers questions on PORT + 1 until its input ends; <c>search ADDRESS
/// PORT SIZE</c> looks for the highest rate at which fewer than one in a thousand is lost.
/// </summary>
internal static class LoadCommand
{
    public static int Run(string[] args)
    {
        switch (args)
        {
            case ["receive", string port]:
                using (DatagramSink sink = new(int.Parse(port, CultureInfo.InvariantCulture)))
                {
                    sink.Run();
                }
                return 0;
            case ["search", string address, string port, string size]:
                using (RateSearch search = new(IPAddress.Parse(address), int.Parse(port, CultureInfo.InvariantCulture), int.Parse(size, CultureInfo.InvariantCulture)))
                {
                    Console.WriteLine(search.Run().ToString(CultureInfo.InvariantCulture));
                }
                return 0;
            case ["rate", string address, string port, string size, string rate, string seconds]:
                using (RateSearch search = new(IPAddress.Parse(address), int.Parse(port, CultureInfo.InvariantCulture), int.Parse(size, CultureInfo.InvariantCulture)))
                {
                    (long sent, long received) = search.Probe(int.Parse(rate, CultureInfo.InvariantCulture), double.Parse(seconds, CultureInfo.InvariantCulture));
                    Console.WriteLine($"{sent} {received}");
                }
                return 0;
            default:
                Console.Error.WriteLine("load receive PORT | search ADDRESS PORT SIZE | rate ADDRESS PORT SIZE RATE SECONDS");
                return 2;
        }
    }
}
