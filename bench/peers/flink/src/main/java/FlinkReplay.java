import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.lang.management.ManagementFactory;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.LocalDate;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.AggregateFunction;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.functions.RichFilterFunction;
import org.apache.flink.api.common.serialization.SimpleStringEncoder;
import org.apache.flink.api.common.state.CheckpointListener;
import org.apache.flink.api.common.state.StateTtlConfig;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.configuration.CheckpointingOptions;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.MemorySize;
import org.apache.flink.configuration.PipelineOptions;
import org.apache.flink.configuration.StateBackendOptions;
import org.apache.flink.configuration.TaskManagerOptions;
import org.apache.flink.connector.file.sink.FileSink;
import org.apache.flink.connector.file.src.FileSource;
import org.apache.flink.connector.file.src.reader.StreamFormat;
import org.apache.flink.connector.file.src.util.CheckpointedPosition;
import org.apache.flink.contrib.streaming.state.RocksDBConfigurableOptions;
import org.apache.flink.core.execution.CheckpointingMode;
import org.apache.flink.core.fs.FSDataInputStream;
import org.apache.flink.core.fs.Path;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.windowing.ProcessWindowFunction;
import org.apache.flink.streaming.api.windowing.assigners.TumblingEventTimeWindows;
import org.apache.flink.streaming.api.windowing.windows.TimeWindow;
import org.apache.flink.types.CopyableValue;
import org.apache.flink.util.Collector;
import org.apache.flink.util.OutputTag;

/**
 * The job of one Millrace actor thread, written for Apache Flink in local mode as one would who wants it fast: NDJSON from files, repeats
 * left out by identity, sums by hour and cell, late events beside them, exactly-once checkpoints.
 *
 * Tuned: objects are reused; lines are parsed where they lie, and only the fields that count; records, keys and sums write themselves (no
 * Kryo, no reflection); the identity travels as 128 bits; sums are aggregated as events come, never listed; RocksDB has bloom filters and
 * incremental checkpoints.
 *
 * Arguments: directory of input (one file for each core), directory of output, directory of checkpoints, heap or rocksdb, cores. Rows of
 * output: hour, cell, records, installs, events, conversions, revenue in micros, with tabs between. A window that fires again writes a row
 * with more records, which replaces the former; rows of late events add to it. Prints what the run took as JSON.
 */
public final class FlinkReplay {
  private static final Duration CHECKPOINT_INTERVAL = Duration.ofSeconds(5);
  private static final Duration DEDUPE_HORIZON = Duration.ofHours(24);
  private static final Duration ALLOWED_LATENESS = Duration.ofMinutes(5);
  /** Most events come within it, so that few windows fire twice. */
  private static final Duration OUT_OF_ORDERNESS = Duration.ofMinutes(1);
  private static final long MS_PER_HOUR = Duration.ofHours(1).toMillis();
  private static final AtomicInteger CHECKPOINTS = new AtomicInteger();

  private FlinkReplay() {}

  public static void main(String[] arguments) throws Exception {
    String input = arguments[0];
    String output = arguments[1];
    int cores = Integer.parseInt(arguments[4]);
    StreamExecutionEnvironment environment = StreamExecutionEnvironment.createLocalEnvironment(cores, configuration(arguments[2], arguments[3]));
    environment.enableCheckpointing(CHECKPOINT_INTERVAL.toMillis(), CheckpointingMode.EXACTLY_ONCE);

    FileSource<Event> source = FileSource.forRecordStreamFormat(new NdjsonFormat(), new Path(input)).build();
    WatermarkStrategy<Event> watermarks = WatermarkStrategy.<Event>forBoundedOutOfOrderness(OUT_OF_ORDERNESS).withTimestampAssigner((event, before) -> event.timeMs);
    OutputTag<Event> late = new OutputTag<>("late", TypeInformation.of(Event.class));
    SingleOutputStreamOperator<String> rows =
        environment
            .fromSource(source, watermarks, "events")
            .keyBy(event -> event.identity, TypeInformation.of(Identity.class))
            .filter(new FirstOfIdentity())
            .keyBy(event -> event.cell, Types.STRING)
            .window(TumblingEventTimeWindows.of(Duration.ofHours(1)))
            .allowedLateness(ALLOWED_LATENESS)
            .sideOutputLateData(late)
            .aggregate(new Summing(), new RowOfWindow(), TypeInformation.of(Sums.class), TypeInformation.of(Sums.class), Types.STRING);
    rows.sinkTo(fileSink(output + "/windows"));
    rows.getSideOutput(late).map(FlinkReplay::rowOfLate).returns(Types.STRING).sinkTo(fileSink(output + "/late"));

    double jobSeconds = environment.execute("replay").getNetRuntime() / 1e3;
    double wallSeconds = ManagementFactory.getRuntimeMXBean().getUptime() / 1e3;
    double cpuSeconds = ((com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime() / 1e9;
    System.out.printf(Locale.ROOT, "{\"wallSeconds\":%.3f,\"cpuSeconds\":%.3f,\"jobSeconds\":%.3f,\"checkpoints\":%d}%n", wallSeconds, cpuSeconds, jobSeconds, CHECKPOINTS.get() / cores);
  }

  private static Configuration configuration(String checkpoints, String state) {
    Configuration configuration = new Configuration();
    configuration.set(PipelineOptions.OBJECT_REUSE, true);
    configuration.set(PipelineOptions.GENERIC_TYPES, false);
    configuration.set(CheckpointingOptions.CHECKPOINT_STORAGE, "filesystem");
    configuration.set(CheckpointingOptions.CHECKPOINTS_DIRECTORY, java.nio.file.Path.of(checkpoints).toUri().toString());
    configuration.set(TaskManagerOptions.NETWORK_MEMORY_MAX, MemorySize.ofMebiBytes(128));
    configuration.set(TaskManagerOptions.NETWORK_MEMORY_MIN, MemorySize.ofMebiBytes(128));
    if (state.equals("rocksdb")) {
      configuration.set(StateBackendOptions.STATE_BACKEND, "rocksdb");
      configuration.set(CheckpointingOptions.INCREMENTAL_CHECKPOINTS, true);
      configuration.set(RocksDBConfigurableOptions.USE_BLOOM_FILTER, true);
      configuration.set(TaskManagerOptions.MANAGED_MEMORY_SIZE, MemorySize.ofMebiBytes(2048));
    } else {
      configuration.set(StateBackendOptions.STATE_BACKEND, "hashmap");
    }
    return configuration;
  }

  private static FileSink<String> fileSink(String directory) {
    return FileSink.forRowFormat(new Path(directory), new SimpleStringEncoder<String>()).build();
  }

  private static String rowOfLate(Event event) {
    Sums sums = new Sums();
    sums.add(event);
    return row(event.timeMs - event.timeMs % MS_PER_HOUR, event.cell, sums);
  }

  private static String row(long hourMs, String cell, Sums sums) {
    return hourMs + "\t" + cell + "\t" + sums.records + "\t" + sums.installs + "\t" + sums.events + "\t" + sums.conversions + "\t" + sums.revenueMicros;
  }

  /** Lets the first event of each identity pass, for as long as the horizon remembers it. */
  static final class FirstOfIdentity extends RichFilterFunction<Event> implements CheckpointListener {
    private transient ValueState<Boolean> seen;

    @Override
    public void open(OpenContext context) {
      ValueStateDescriptor<Boolean> descriptor = new ValueStateDescriptor<>("seen", Types.BOOLEAN);
      descriptor.enableTimeToLive(StateTtlConfig.newBuilder(DEDUPE_HORIZON).build());
      seen = getRuntimeContext().getState(descriptor);
    }

    @Override
    public boolean filter(Event event) throws IOException {
      if (seen.value() != null) return false;
      seen.update(Boolean.TRUE);
      return true;
    }

    @Override
    public void notifyCheckpointComplete(long checkpoint) {
      CHECKPOINTS.incrementAndGet();
    }
  }

  static final class Summing implements AggregateFunction<Event, Sums, Sums> {
    @Override
    public Sums createAccumulator() {
      return new Sums();
    }

    @Override
    public Sums add(Event event, Sums sums) {
      sums.add(event);
      return sums;
    }

    @Override
    public Sums getResult(Sums sums) {
      return sums;
    }

    @Override
    public Sums merge(Sums left, Sums right) {
      throw new UnsupportedOperationException("tumbling windows do not merge");
    }
  }

  static final class RowOfWindow extends ProcessWindowFunction<Sums, String, String, TimeWindow> {
    @Override
    public void process(String cell, Context context, Iterable<Sums> sums, Collector<String> out) {
      out.collect(row(context.window().getStart(), cell, sums.iterator().next()));
    }
  }

  /** What is left of a record once it is read. */
  public static final class Event implements CopyableValue<Event> {
    static final byte INSTALL = 1;
    static final byte IN_APP = 2;
    static final byte CONVERSION = 4;

    Identity identity = new Identity();
    long timeMs;
    /** The values of all dimensions in Millrace's order, with its separator between. */
    String cell = "";
    byte counts;
    long revenueMicros;

    @Override
    public void write(DataOutputView out) throws IOException {
      identity.write(out);
      out.writeLong(timeMs);
      out.writeLong(revenueMicros);
      out.writeByte(counts);
      byte[] text = cell.getBytes(StandardCharsets.UTF_8);
      out.writeShort(text.length);
      out.write(text);
    }

    @Override
    public void read(DataInputView in) throws IOException {
      // State keeps the identity as its key: a reused event must not change it.
      identity = new Identity();
      identity.read(in);
      timeMs = in.readLong();
      revenueMicros = in.readLong();
      counts = in.readByte();
      byte[] text = new byte[in.readUnsignedShort()];
      in.readFully(text);
      cell = new String(text, StandardCharsets.UTF_8);
    }

    @Override
    public void copy(DataInputView in, DataOutputView out) throws IOException {
      out.write(in, Identity.BYTES + 2 * Long.BYTES + 1);
      int length = in.readUnsignedShort();
      out.writeShort(length);
      out.write(in, length);
    }

    @Override
    public void copyTo(Event other) {
      other.identity = identity;
      other.timeMs = timeMs;
      other.cell = cell;
      other.counts = counts;
      other.revenueMicros = revenueMicros;
    }

    @Override
    public Event copy() {
      Event other = new Event();
      copyTo(other);
      return other;
    }

    @Override
    public int getBinaryLength() {
      return -1;
    }
  }

  /** 128 bits of hash over the parts that make an event what it is; the key of dedupe. */
  public static final class Identity implements CopyableValue<Identity>, Comparable<Identity> {
    static final int BYTES = 2 * Long.BYTES;

    long high;
    long low;

    /** Two lanes that share nothing but their input. */
    void add(long word) {
      high = Long.rotateLeft(high ^ word * 0x9e3779b97f4a7c15L, 27) * 0x3c79ac492ba7b653L + 0x1c69b3f74ac4ae35L;
      low = Long.rotateLeft(low ^ word * 0xbf58476d1ce4e5b9L, 33) * 0x94d049bb133111ebL + 0x2545f4914f6cdd1dL;
    }

    /** With its length, so that two parts never read as other two. */
    void add(char[] text, int start, int end) {
      add(end - start);
      int at = start;
      for (; at + 4 <= end; at += 4) add(text[at] | (long) text[at + 1] << 16 | (long) text[at + 2] << 32 | (long) text[at + 3] << 48);
      for (; at < end; at++) add(text[at]);
    }

    void add(String text, char[] scratch) {
      int length = text.length();
      text.getChars(0, length, scratch, 0);
      add(scratch, 0, length);
    }

    @Override
    public boolean equals(Object other) {
      return other instanceof Identity && ((Identity) other).high == high && ((Identity) other).low == low;
    }

    @Override
    public int hashCode() {
      return (int) (high ^ high >>> 32);
    }

    @Override
    public int compareTo(Identity other) {
      return high != other.high ? Long.compare(high, other.high) : Long.compare(low, other.low);
    }

    @Override
    public void write(DataOutputView out) throws IOException {
      out.writeLong(high);
      out.writeLong(low);
    }

    @Override
    public void read(DataInputView in) throws IOException {
      high = in.readLong();
      low = in.readLong();
    }

    @Override
    public void copy(DataInputView in, DataOutputView out) throws IOException {
      out.write(in, BYTES);
    }

    @Override
    public void copyTo(Identity other) {
      other.high = high;
      other.low = low;
    }

    @Override
    public Identity copy() {
      Identity other = new Identity();
      copyTo(other);
      return other;
    }

    @Override
    public int getBinaryLength() {
      return BYTES;
    }
  }

  /** Of one cell and hour. */
  public static final class Sums implements CopyableValue<Sums> {
    static final int BYTES = 5 * Long.BYTES;

    long records;
    long installs;
    long events;
    long conversions;
    long revenueMicros;

    void add(Event event) {
      records++;
      if ((event.counts & Event.INSTALL) != 0) installs++;
      if ((event.counts & Event.IN_APP) != 0) events++;
      if ((event.counts & Event.CONVERSION) != 0) conversions++;
      revenueMicros = Math.addExact(revenueMicros, event.revenueMicros);
    }

    @Override
    public void write(DataOutputView out) throws IOException {
      out.writeLong(records);
      out.writeLong(installs);
      out.writeLong(events);
      out.writeLong(conversions);
      out.writeLong(revenueMicros);
    }

    @Override
    public void read(DataInputView in) throws IOException {
      records = in.readLong();
      installs = in.readLong();
      events = in.readLong();
      conversions = in.readLong();
      revenueMicros = in.readLong();
    }

    @Override
    public void copy(DataInputView in, DataOutputView out) throws IOException {
      out.write(in, BYTES);
    }

    @Override
    public void copyTo(Sums other) {
      other.records = records;
      other.installs = installs;
      other.events = events;
      other.conversions = conversions;
      other.revenueMicros = revenueMicros;
    }

    @Override
    public Sums copy() {
      Sums other = new Sums();
      copyTo(other);
      return other;
    }

    @Override
    public int getBinaryLength() {
      return BYTES;
    }
  }

  /** One record a line, read in order of event time: a file is never split. */
  static final class NdjsonFormat implements StreamFormat<Event> {
    @Override
    public Reader<Event> createReader(Configuration configuration, FSDataInputStream stream, long fileLength, long splitEnd) {
      return new LineReader(stream, 0);
    }

    @Override
    public Reader<Event> restoreReader(Configuration configuration, FSDataInputStream stream, long offset, long fileLength, long splitEnd) throws IOException {
      stream.seek(offset);
      return new LineReader(stream, offset);
    }

    @Override
    public boolean isSplittable() {
      return false;
    }

    @Override
    public TypeInformation<Event> getProducedType() {
      return TypeInformation.of(Event.class);
    }
  }

  /** Finds lines in a large buffer and parses them there. */
  static final class LineReader implements StreamFormat.Reader<Event> {
    private static final VarHandle WORD = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);
    private static final long ONES = 0x0101010101010101L;
    private static final long HIGH_BITS = 0x8080808080808080L;
    private static final long NEWLINES = ONES * '\n';

    private final FSDataInputStream stream;
    private final EventParser parser = new EventParser();
    private byte[] buffer = new byte[256 * 1024];
    private int start;
    private int limit;
    /** Of `buffer[0]` in the file. */
    private long bufferOffset;

    LineReader(FSDataInputStream stream, long offset) {
      this.stream = stream;
      this.bufferOffset = offset;
    }

    @Override
    public Event read() throws IOException {
      for (int searched = start; ; ) {
        int end = newline(searched);
        if (end < 0) {
          searched = limit - start;
          if (fill()) continue;
          if (start == limit) return null;
          end = limit;
        }
        int from = start;
        start = Math.min(end + 1, limit);
        searched = start;
        Event event = parser.parse(buffer, from, end - from);
        if (event != null) return event;
      }
    }

    @Override
    public CheckpointedPosition getCheckpointedPosition() {
      return new CheckpointedPosition(bufferOffset + start, 0);
    }

    @Override
    public void close() throws IOException {
      stream.close();
    }

    /** Moves what is left to the front and reads behind it; false at the end of the file. */
    private boolean fill() throws IOException {
      int left = limit - start;
      byte[] target = left == buffer.length ? new byte[buffer.length * 2] : buffer;
      System.arraycopy(buffer, start, target, 0, left);
      bufferOffset += start;
      buffer = target;
      start = 0;
      limit = left;
      int count = stream.read(buffer, limit, buffer.length - limit);
      if (count <= 0) return false;
      limit += count;
      return true;
    }

    /** Where the next newline at or after `from` is, or -1; eight bytes at a time. */
    private int newline(int from) {
      int at = from;
      for (; at + Long.BYTES <= limit; at += Long.BYTES) {
        long different = (long) WORD.get(buffer, at) ^ NEWLINES;
        long found = (different - ONES) & ~different & HIGH_BITS;
        if (found != 0) return at + (Long.numberOfTrailingZeros(found) >>> 3);
      }
      for (; at < limit; at++) if (buffer[at] == '\n') return at;
      return -1;
    }
  }

  /** One record's bytes to what counts of it, by the rules of actors/appsflyer as far as its generator's POSTs without SKAdNetwork need them. */
  static final class EventParser {
    private static final char SEPARATOR = '\u001f';
    private static final String ORGANIC = "organic";
    private static final String UNKNOWN = "unknown";
    private static final Set<String> CONVERSION_EVENTS = Set.of("af_purchase", "af_subscribe", "af_start_trial", "af_complete_registration");
    private static final int NO_USER = Integer.MAX_VALUE;
    private static final long NO_AMOUNT = Long.MIN_VALUE;
    private static final int NAME_CHARS_MAX = 1 << 14;

    private final JsonFactory factory = new JsonFactory();
    private final StringBuilder cell = new StringBuilder();
    private final char[] scratch = new char[NAME_CHARS_MAX];
    private final Identity value = new Identity();
    private String appId, eventName, eventType, platform, mediaSource, campaign, campaignId, country, device, conversionType, campaignType, user;
    private int userRank;
    private long timeMs, usdMicros, revenueMicros;
    private boolean hasValue, isUsd, isRetargeting, isSecondary;
    /** The text of the current field. */
    private char[] chars;
    private int from, to;

    /** Null for what is rejected. */
    Event parse(byte[] bytes, int start, int length) throws IOException {
      reset();
      try (JsonParser json = factory.createParser(bytes, start, length)) {
        if (json.nextToken() != JsonToken.START_OBJECT) return null;
        for (String name = json.nextFieldName(); name != null; name = json.nextFieldName()) take(name, json);
        // The whole of it is JSON, or none of it.
        if (json.currentToken() != JsonToken.END_OBJECT || json.nextToken() != null) return null;
      } catch (JsonProcessingException notJson) {
        return null;
      }
      return appId == null || eventName == null || timeMs < 0 || user == null ? null : event();
    }

    private void reset() {
      appId = eventName = eventType = platform = mediaSource = campaign = campaignId = country = device = conversionType = campaignType = user = null;
      userRank = NO_USER;
      timeMs = -1;
      usdMicros = revenueMicros = NO_AMOUNT;
      hasValue = isUsd = isRetargeting = isSecondary = false;
      value.high = value.low = 0;
    }

    private void take(String name, JsonParser json) throws IOException {
      JsonToken token = json.nextToken();
      switch (name) {
        case "app_id" -> appId = text(json, token);
        case "event_name" -> eventName = text(json, token);
        case "event_type" -> eventType = text(json, token);
        case "platform" -> platform = text(json, token);
        case "media_source" -> mediaSource = text(json, token);
        case "campaign" -> campaign = text(json, token);
        case "af_c_id" -> campaignId = text(json, token);
        case "country_code" -> country = text(json, token);
        case "device_category" -> device = text(json, token);
        case "conversion_type" -> conversionType = text(json, token);
        case "campaign_type" -> campaignType = text(json, token);
        case "appsflyer_id" -> takeUser(0, json, token);
        case "customer_user_id" -> takeUser(1, json, token);
        case "advertising_id" -> takeUser(2, json, token);
        case "idfa" -> takeUser(3, json, token);
        case "idfv" -> takeUser(4, json, token);
        case "android_id" -> takeUser(5, json, token);
        case "event_time" -> timeMs = load(json, token) ? timeMs() : -1;
        case "event_revenue_usd" -> usdMicros = load(json, token) ? micros() : NO_AMOUNT;
        case "event_revenue" -> revenueMicros = load(json, token) ? micros() : NO_AMOUNT;
        case "event_revenue_currency" -> isUsd = "USD".equalsIgnoreCase(text(json, token));
        case "is_retargeting" -> isRetargeting = "true".equals(text(json, token));
        case "is_primary_attribution" -> isSecondary = "false".equals(text(json, token));
        case "event_value" -> {
          hasValue = load(json, token);
          value.high = value.low = 0;
          if (hasValue) value.add(chars, from, to);
        }
        default -> json.skipChildren();
      }
    }

    /** False where the field counts as absent. */
    private boolean load(JsonParser json, JsonToken token) throws IOException {
      if (token == JsonToken.VALUE_NULL) return false;
      if (token.isStructStart()) {
        json.skipChildren();
        return false;
      }
      chars = json.getTextCharacters();
      from = json.getTextOffset();
      to = from + json.getTextLength();
      return to > from && !(chars[from] == 'N' && isNullText());
    }

    private boolean isNullText() {
      String text = new String(chars, from, to - from);
      return text.equals("N/A") || text.equals("NULL");
    }

    private String text(JsonParser json, JsonToken token) throws IOException {
      return load(json, token) ? new String(chars, from, to - from) : null;
    }

    /** The first of the user's ids in order of rank that names somebody; text is made of no other. */
    private void takeUser(int rank, JsonParser json, JsonToken token) throws IOException {
      if (rank > userRank || !load(json, token) || isFiller()) return;
      userRank = rank;
      user = new String(chars, from, to - from);
    }

    /** Zeros and dashes: an id that was withheld. */
    private boolean isFiller() {
      for (int at = from; at < to; at++) if (chars[at] != '0' && chars[at] != '-' && chars[at] != ' ') return false;
      return true;
    }

    private Event event() {
      Event event = new Event();
      String source = mediaSource == null ? UNKNOWN : mediaSource.equalsIgnoreCase(ORGANIC) ? ORGANIC : mediaSource;
      String attribution = attribution(source);
      event.timeMs = timeMs;
      event.cell = cell(source, attribution);
      addIdentity(event.identity);
      if (!isSecondary) {
        event.counts = counts();
        long micros = usdMicros == NO_AMOUNT && isUsd ? revenueMicros : usdMicros;
        event.revenueMicros = micros == NO_AMOUNT ? 0 : micros;
      }
      return event;
    }

    private String attribution(String source) {
      String type = campaignType == null ? "" : campaignType.toLowerCase(Locale.ROOT);
      if (type.equals("ua") || type.equals(ORGANIC) || type.equals("retargeting")) return type;
      if (isRetargeting) return "retargeting";
      return source.equals(ORGANIC) || eventType != null && eventType.startsWith("organic-") ? ORGANIC : "ua";
    }

    private String cell(String source, String attribution) {
      cell.setLength(0);
      if (attribution.equals(ORGANIC)) cell.append(ORGANIC);
      else cell.append(campaignId != null ? campaignId : campaign != null ? campaign : "none");
      cell.append(SEPARATOR).append(appId);
      cell.append(SEPARATOR).append(platform != null ? platform : platformOfApp());
      cell.append(SEPARATOR).append(source);
      cell.append(SEPARATOR).append(country == null ? UNKNOWN : country.toUpperCase(Locale.ROOT));
      cell.append(SEPARATOR).append(device == null ? UNKNOWN : device);
      cell.append(SEPARATOR).append(attribution);
      return cell.toString();
    }

    private String platformOfApp() {
      if (appId.startsWith("id") && appId.length() > 2 && appId.chars().skip(2).allMatch(Character::isDigit)) return "ios";
      return appId.indexOf('.') >= 0 ? "android" : UNKNOWN;
    }

    private void addIdentity(Identity identity) {
      identity.add(appId, scratch);
      identity.add(user, scratch);
      identity.add(eventName, scratch);
      identity.add(timeMs);
      identity.add(hasValue ? 1 : 0);
      identity.add(value.high);
      identity.add(value.low);
      identity.add(conversionType == null ? "" : conversionType, scratch);
      identity.add(campaignType == null ? "" : campaignType, scratch);
      identity.add(isSecondary ? 0 : 1);
    }

    /** By event_type; without it, a name that is reserved says what the record is, and every other is the app's own. */
    private byte counts() {
      boolean isInApp;
      boolean isInstall;
      if (eventType != null) {
        isInApp = eventType.endsWith("-in-app-event");
        isInstall = eventType.equals("install") || eventType.equals("organic-install");
      } else {
        isInstall = eventName.equals("install");
        isInApp = !isInstall && !eventName.equals("reinstall") && !eventName.equals("re-engagement") && !eventName.equals("re-attribution");
      }
      if (isInstall) return Event.INSTALL;
      if (!isInApp) return 0;
      return CONVERSION_EVENTS.contains(eventName) ? Event.IN_APP | Event.CONVERSION : Event.IN_APP;
    }

    /** Of `yyyy-mm-dd hh:mm:ss[.s…]`, UTC; -1 for what is none. */
    private long timeMs() {
      if (to - from < 19 || chars[from + 4] != '-' || chars[from + 7] != '-' || chars[from + 13] != ':' || chars[from + 16] != ':') return -1;
      int year = digits(from, 4);
      int month = digits(from + 5, 2);
      int day = digits(from + 8, 2);
      int hour = digits(from + 11, 2);
      int minute = digits(from + 14, 2);
      int second = digits(from + 17, 2);
      if (year < 1970 || month < 1 || month > 12 || day < 1 || day > LocalDate.of(year, month, 1).lengthOfMonth() || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59) return -1;
      int ms = 0;
      if (to - from > 19) {
        if (chars[from + 19] != '.') return -1;
        for (int at = from + 20, scale = 100; at < to; at++, scale /= 10) {
          if (chars[at] < '0' || chars[at] > '9') return -1;
          ms += scale * (chars[at] - '0');
        }
      }
      return ((LocalDate.of(year, month, day).toEpochDay() * 24 + hour) * 60 + minute) * 60_000 + second * 1_000L + ms;
    }

    /** Negative where one of them is none. */
    private int digits(int at, int count) {
      int number = 0;
      for (int index = 0; index < count; index++) {
        char digit = chars[at + index];
        if (digit < '0' || digit > '9') return -1;
        number = number * 10 + digit - '0';
      }
      return number;
    }

    /** Of decimal text with at most six decimals; exact. */
    private long micros() {
      int at = from;
      boolean isNegative = chars[at] == '-';
      if (isNegative) at++;
      long micros = 0;
      int decimals = -1;
      for (; at < to; at++) {
        char digit = chars[at];
        if (digit == '.' && decimals < 0) decimals = 0;
        else if (digit < '0' || digit > '9' || decimals == 6 || micros > 1_000_000_000_000L) return NO_AMOUNT;
        else {
          micros = micros * 10 + digit - '0';
          if (decimals >= 0) decimals++;
        }
      }
      for (int place = Math.max(decimals, 0); place < 6; place++) micros *= 10;
      return isNegative ? -micros : micros;
    }
  }
}
